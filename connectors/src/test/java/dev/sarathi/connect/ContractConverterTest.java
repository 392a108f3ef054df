package dev.sarathi.connect;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.schemas.ChatMessage;
import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.Sampling;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenBias;
import dev.sarathi.schemas.Usage;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import org.apache.avro.Schema;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.sink.SinkConnector;
import org.apache.kafka.connect.source.SourceConnector;
import org.apache.kafka.connect.storage.Converter;
import org.junit.jupiter.api.Test;

class ContractConverterTest {
  private static final Map<String, Object> CONFIG = Map.of("schema.registry.url", "mock://connect");

  @Test
  void shouldWriteWhatEveryOtherClientReads() {
    // given
    final PromptRequest request =
        PromptRequest.newBuilder()
            .setId("a")
            .setMessages(List.of(new ChatMessage("user", "Once")))
            .setSampling(Sampling.newBuilder().setLogitBias(List.of(new TokenBias(5, 1.5))).build())
            .setSeed(Long.MAX_VALUE)
            .setStop(List.of("\n"))
            .build();
    final Schema avro = PromptRequest.getClassSchema();
    final var connect = ContractData.toConnect(avro);

    // when
    final byte[] bytes =
        converter().fromConnectData("t", connect, ContractData.toConnect(avro, connect, request));

    // then
    assertThat(SarathiSerdes.promptRequest(CONFIG).deserializer().deserialize("t", bytes))
        .isEqualTo(request);
  }

  @Test
  void shouldReadWhatTheProcessorWrites() {
    // given
    final Completion completion =
        Completion.newBuilder()
            .setRequestId("a")
            .setText("é")
            .setFinishReason(FinishReason.LENGTH)
            .setUsage(Usage.newBuilder().setPromptTokens(3).build())
            .setPromptedAt(Instant.ofEpochMilli(1))
            .setEmittedAt(Instant.ofEpochMilli(2))
            .build();
    final byte[] bytes = SarathiSerdes.completion(CONFIG).serializer().serialize("t", completion);

    // when
    final SchemaAndValue read = converter().toConnectData("t", bytes);

    // then
    assertThat(read.schema().name()).isEqualTo("dev.sarathi.schemas.Completion");
    assertThat(ContractData.toAvro(Completion.getClassSchema(), read.value()))
        .isEqualTo(completion);
  }

  @Test
  void shouldRefuseWhatIsOfNoContract() {
    assertThatThrownBy(
            () ->
                converter()
                    .fromConnectData("t", org.apache.kafka.connect.data.Schema.STRING_SCHEMA, "a"))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("has the schema ''; valid are");
    assertThatThrownBy(() -> converter().toConnectData("t", new byte[] {1, 2, 3}))
        .isInstanceOf(DataException.class)
        .hasMessage("a value of topic t is no Completion");
    assertThatThrownBy(() -> new ContractConverter().configure(CONFIG, true))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("StringConverter");
    assertThat(converter().toConnectData("t", null)).isEqualTo(SchemaAndValue.NULL);
    assertThat(converter().fromConnectData("t", null, null)).isNull();
  }

  @Test
  void shouldBeFoundAsPlugins() {
    assertThat(ServiceLoader.load(SourceConnector.class))
        .hasOnlyElementsOfType(BatchFileSourceConnector.class)
        .hasSize(1);
    assertThat(ServiceLoader.load(SinkConnector.class))
        .hasOnlyElementsOfTypes(BatchFileSinkConnector.class, WebhookSinkConnector.class)
        .hasSize(2);
    assertThat(ServiceLoader.load(Converter.class))
        .hasAtLeastOneElementOfType(ContractConverter.class);
    assertThat(new ContractConverter().version()).isEqualTo(new BatchFileSinkConnector().version());
    assertThat(new ContractConverter().version()).doesNotContain("$");
  }

  private static ContractConverter converter() {
    final ContractConverter converter = new ContractConverter();
    converter.configure(CONFIG, false);
    return converter;
  }
}
