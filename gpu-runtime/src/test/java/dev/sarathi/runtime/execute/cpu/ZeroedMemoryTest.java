package dev.sarathi.runtime.execute.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ZeroedMemoryTest {
  private static final Path STATUS = Path.of("/proc/self/status");

  @ParameterizedTest
  @ValueSource(longs = {1, 63, 4096, (64 << 20) + 1})
  void shouldBeZeroFromACacheLineOnThoughOthersHaveUsedIt(final long bytes) {
    for (int round = 0; round < 3; round++) {
      try (Arena arena = Arena.ofShared()) {
        final MemorySegment memory = ZeroedMemory.allocate(arena, bytes);
        assertThat(memory.byteSize()).isEqualTo(bytes);
        assertThat(memory.address() % 64).isZero();
        assertThat(memory.mismatch(Arena.ofAuto().allocate(bytes))).isEqualTo(-1);
        memory.fill((byte) 0xAA);
      }
    }
  }

  @Test
  void shouldTakeNothingBeforeItIsTouched() throws IOException {
    assumeThat(STATUS).exists();
    final long bytes = 1L << 30;
    try (Arena arena = Arena.ofShared()) {
      final long before = resident();
      final MemorySegment memory = ZeroedMemory.allocate(arena, bytes);
      assertThat(resident() - before).isLessThan(bytes / 4);
      memory.set(ValueLayout.JAVA_BYTE, bytes - 1, (byte) 1);
      assertThat(resident() - before).isLessThan(bytes / 4);
    }
  }

  private static long resident() throws IOException {
    return Files.readAllLines(STATUS).stream()
        .filter(line -> line.startsWith("VmRSS:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024)
        .sum();
  }

  @Test
  void shouldGoWithItsArena() {
    final MemorySegment memory;
    try (Arena arena = Arena.ofShared()) {
      memory = ZeroedMemory.allocate(arena, 100);
    }
    assertThatThrownBy(() -> memory.get(ValueLayout.JAVA_BYTE, 0))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void shouldSayHowMuchThereIsNot() {
    try (Arena arena = Arena.ofShared()) {
      assertThatThrownBy(() -> ZeroedMemory.allocate(arena, 1L << 60))
          .isInstanceOf(OutOfMemoryError.class)
          .hasMessage("1152921504606846976 bytes outside the Java heap");
    }
  }
}
