# Kafka Connect with the connectors of Sarathi Streams. `./sarathi image` builds it.
FROM apache/kafka:4.3.1
COPY --chown=root:root connectors/target/image/plugins /opt/connect/plugins
COPY --chown=root:root deploy/docker/connect /opt/connect/bin/connect
USER root
RUN mkdir /batch && chown 1000 /batch
USER 1000
EXPOSE 8083
HEALTHCHECK --interval=10s --timeout=3s --start-period=90s --retries=3 \
  CMD ["bash", "-c", "exec 3<> /dev/tcp/127.0.0.1/8083"]
ENTRYPOINT ["/opt/connect/bin/connect"]
