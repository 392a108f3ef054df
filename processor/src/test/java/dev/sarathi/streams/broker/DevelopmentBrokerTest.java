package dev.sarathi.streams.broker;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.streams.broker.DevelopmentBroker.Options;
import java.io.BufferedReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class DevelopmentBrokerTest {

  @TempDir Path directory;

  @Test
  void shouldKeepDataAndAddressThroughAKillAndLeaveNoProcess() throws Exception {
    final DevelopmentBroker broker = DevelopmentBroker.start(Options.in(directory));
    final String address = broker.bootstrapServers();
    final ProcessHandle first = broker.process();
    ProcessHandle second;
    try (broker) {
      // given
      write(address, "before the kill");
      assertThatThrownBy(() -> DevelopmentBroker.start(Options.in(directory)))
          .as("a second broker in the same directory")
          .isInstanceOf(BrokerFailedException.class)
          .hasMessageContaining("Another broker is running in " + directory);

      // when
      broker.kill();
      assertThat(first.isAlive()).isFalse();
      broker.restart();

      // then
      second = broker.process();
      assertThat(second.pid()).isNotEqualTo(first.pid());
      assertThat(broker.bootstrapServers()).isEqualTo(address);
      write(address, "after the restart");
      assertThat(read(address, 2)).containsExactly("before the kill", "after the restart");
    }
    assertThat(second.isAlive()).isFalse();
    broker.close();
  }

  @Test
  void shouldDieWithItsParent() throws Exception {
    // given
    final Process parent =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                BrokerParent.class.getName(),
                directory.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    final ProcessHandle broker = announced(parent);
    assertThat(broker.isAlive()).isTrue();

    // when the parent has no chance to clean up
    parent.destroyForcibly();

    // then
    broker.onExit().get(10, SECONDS);
  }

  @Test
  void shouldShowTheLogOfABrokerThatDoesNotStart() {
    final Options impossible = Options.in(directory).withSetting("log.retention.ms", "soon");

    assertThatThrownBy(() -> DevelopmentBroker.start(impossible))
        .isInstanceOf(BrokerFailedException.class)
        .hasMessageContaining("before it answered")
        .hasMessageContaining("log.retention.ms");
  }

  @Test
  void shouldRefuseAPortThatIsInUse() throws Exception {
    try (ServerSocket other = new ServerSocket(0, 1, InetAddress.getByName("localhost"))) {
      final Options options = Options.in(directory).withPort(other.getLocalPort());

      assertThatThrownBy(() -> DevelopmentBroker.start(options))
          .isInstanceOf(BrokerFailedException.class)
          .hasMessageContaining("Port " + other.getLocalPort());
    }
  }

  @Test
  void shouldRefuseImpossibleOptions() {
    assertThatThrownBy(() -> Options.in(directory).withPort(70_000))
        .hasMessage("port is 70000, must be in 0..65535");
    assertThatThrownBy(() -> Options.in(directory).withHeapMegabytes(1))
        .hasMessage("heapMegabytes is 1, must be at least 64");
  }

  private static void write(final String address, final String value) throws Exception {
    try (KafkaProducer<String, String> producer =
        new KafkaProducer<>(
            Map.of("bootstrap.servers", address), new StringSerializer(), new StringSerializer())) {
      producer.send(new ProducerRecord<>("kept", value)).get();
    }
  }

  private static List<String> read(final String address, final int count) {
    try (KafkaConsumer<String, String> consumer =
        new KafkaConsumer<>(
            Map.of("bootstrap.servers", address, "auto.offset.reset", "earliest"),
            new StringDeserializer(),
            new StringDeserializer())) {
      consumer.assign(List.of(new TopicPartition("kept", 0)));
      final List<String> values = new ArrayList<>();
      final long deadline = System.nanoTime() + SECONDS.toNanos(10);
      while (values.size() < count && System.nanoTime() < deadline) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
          values.add(record.value());
        }
      }
      return values;
    }
  }

  private static ProcessHandle announced(final Process parent) throws Exception {
    final BufferedReader out = parent.inputReader();
    for (String line = out.readLine(); line != null; line = out.readLine()) {
      if (line.startsWith("pid=")) {
        return ProcessHandle.of(Long.parseLong(line.substring(4))).orElseThrow();
      }
    }
    throw new AssertionError("the parent ended with " + parent.waitFor());
  }
}
