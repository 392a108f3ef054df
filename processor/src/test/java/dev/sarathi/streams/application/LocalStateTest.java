package dev.sarathi.streams.application;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LocalStateTest {
  @TempDir private Path directory;

  private LocalState state;
  private Path store;
  private Path process;

  @BeforeEach
  void open() throws IOException {
    state = new LocalState(directory);
    store = Files.createDirectories(directory.resolve("0_11/rocksdb/store")).resolve("CURRENT");
    process = directory.resolve("kafka-streams-process-metadata");
    state.open();
    Files.createDirectories(store.getParent());
    Files.writeString(store, "written since");
    Files.writeString(process, "id");
  }

  @Test
  void shouldKeepWhatWasClosed() {
    state.close();

    new LocalState(directory).open();

    assertThat(store).exists();
  }

  @Test
  void shouldRemoveTheStoresOfAProcessThatDied() {
    new LocalState(directory).open();

    assertThat(directory.resolve("0_11")).doesNotExist();
    assertThat(process).as("the process's id, which its transactional ids are made of").exists();
  }

  @Test
  void shouldTrustNoCloseButTheLast() {
    state.close();
    new LocalState(directory).open();

    new LocalState(directory).open();

    assertThat(store).doesNotExist();
  }

  @Test
  void shouldBearADirectoryThatIsNotThere() {
    final LocalState first = new LocalState(directory.resolve("new"));

    first.open();
    first.close();

    assertThat(directory.resolve("new")).isNotEmptyDirectory();
  }
}
