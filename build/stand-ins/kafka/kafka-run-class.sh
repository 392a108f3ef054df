#!/bin/bash
# Stands in for the scripts of Kafka's distribution, by the name it is called by.
set -euo pipefail

case $(basename "$0" .sh) in
  connect-distributed) class=org.apache.kafka.connect.cli.ConnectDistributed ;;
  kafka-server-start) class=kafka.Kafka ;;
  kafka-topics) class=org.apache.kafka.tools.TopicCommand ;;
  kafka-console-consumer) class=org.apache.kafka.tools.consumer.ConsoleConsumer ;;
  kafka-console-producer) class=org.apache.kafka.tools.ConsoleProducer ;;
  kafka-consumer-groups) class=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand ;;
  kafka-configs) class=kafka.admin.ConfigCommand ;;
  kafka-storage) class=kafka.tools.StorageTool ;;
  *)
    class=$1
    shift
    ;;
esac
# shellcheck disable=SC2086 # several options in one variable
exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 ${KAFKA_HEAP_OPTS:--Xmx512m} ${KAFKA_OPTS:-} \
  -Dlogback.configurationFile=/opt/kafka/config/logback.xml -cp '/opt/kafka/libs/*' "$class" "$@"
