package dev.sarathi.tests.chaos;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A part of a campaign under one group protocol, with an application and topics of its own. */
record Phase(String protocol) {
  static final int PARTITIONS = 6;
  static final Map<String, Object> REGISTRY = Map.of("schema.registry.url", "mock://chaos");

  String applicationId() {
    return "chaos-" + protocol;
  }

  String promptsTopic() {
    return applicationId() + "-prompts";
  }

  String tokensTopic() {
    return applicationId() + "-tokens";
  }

  String completionsTopic() {
    return applicationId() + "-completions";
  }

  String deadLettersTopic() {
    return applicationId() + "-dead-letters";
  }

  List<String> topics() {
    return List.of(promptsTopic(), tokensTopic(), completionsTopic(), deadLettersTopic());
  }

  /** The settings of the application, but for those that differ between instances. */
  Map<String, String> settings(final String bootstrapServers, final String model) {
    final Map<String, String> settings = new HashMap<>();
    REGISTRY.forEach((name, value) -> settings.put(name, value.toString()));
    settings.put("bootstrap.servers", bootstrapServers);
    settings.put("application.id", applicationId());
    settings.put("group.protocol", protocol);
    settings.put("sarathi.model", model);
    settings.put("sarathi.prompts.topic", promptsTopic());
    settings.put("sarathi.tokens.topic", tokensTopic());
    settings.put("sarathi.completions.topic", completionsTopic());
    settings.put("sarathi.dead.letters.topic", deadLettersTopic());
    settings.put("sarathi.executor", "cpu");
    settings.put("sarathi.cpu.threads", "1");
    settings.put("sarathi.max.sequences", "16");
    settings.put("sarathi.kv.memory", Integer.toString(64 << 20));
    // Some tokens a record: the log of twenty minutes must fit the campaign's memory.
    settings.put("sarathi.drain.interval.ms", "50");
    settings.put("poll.ms", "50");
    // Faults come faster than a request can be sure of a token, and none of them is its fault.
    settings.put("sarathi.max.attempts", "1000");
    // Faults last seconds: what a client gives up after must be of that order.
    settings.put("request.timeout.ms", "7000");
    settings.put("replication.factor", "-1");
    if (protocol.equals("classic")) {
      settings.put("main.consumer.session.timeout.ms", "8000");
      settings.put("main.consumer.heartbeat.interval.ms", "1500");
    }
    return settings;
  }
}
