package dev.sarathi.streams.http;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.kafka.common.config.ConfigException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A socket that answers HTTP. It is bound before it serves, so that its port is known when Kafka
 * Streams is told how the others reach this instance.
 *
 * <p>Threading: a virtual thread for each exchange; a slow reader holds up nobody else. The owner
 * binds, serves and closes.
 */
public final class HttpEndpoint implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(HttpEndpoint.class);
  private static final int BACKLOG = 64;
  private static final int MAX_BODY = 1 << 16;

  /** Who does not read an event for so long is gone. */
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  /** Nothing but the endpoint's own; and nobody shows its pages as a part of theirs. */
  private static final String CONTENT_SECURITY_POLICY =
      "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors"
          + " 'none'";

  private final HttpServer server;
  private final ExecutorService threads =
      Executors.newThreadPerTaskExecutor(Thread.ofVirtual().name("http-", 0).factory());

  private final SameOrigin sameOrigin;

  private HttpEndpoint(final HttpServer server) {
    this.server = server;
    this.sameOrigin = new SameOrigin(server.getAddress().getAddress());
  }

  /**
   * Binds an address.
   *
   * @param setting that names it, for the errors
   * @param listen {@code host:port}; port 0 for any that is free
   * @throws ConfigException if it is no address, or cannot be bound
   */
  public static HttpEndpoint bind(final String setting, final String listen) {
    final int colon = listen.lastIndexOf(':');
    if (colon < 1 || !listen.substring(colon + 1).matches("\\d{1,5}")) {
      throw new ConfigException(setting, listen, "valid is host:port, such as 127.0.0.1:8080");
    }
    final String host = listen.substring(0, colon).replaceAll("^\\[|]$", "");
    try {
      return new HttpEndpoint(
          HttpServer.create(
              new InetSocketAddress(
                  InetAddress.getByName(host), Integer.parseInt(listen.substring(colon + 1))),
              BACKLOG));
    } catch (final IOException | IllegalArgumentException e) {
      throw new ConfigException(setting, listen, "cannot be listened to: " + e.getMessage());
    }
  }

  /** How others reach it: the address it is bound to, or this host's name if that is any. */
  public String address() {
    final InetSocketAddress bound = server.getAddress();
    final InetAddress host = bound.getAddress();
    final String name = host.isAnyLocalAddress() ? hostName() : host.getHostAddress();
    return (name.contains(":") ? "[" + name + "]" : name) + ":" + bound.getPort();
  }

  private static String hostName() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (final UnknownHostException e) {
      return InetAddress.getLoopbackAddress().getHostAddress();
    }
  }

  /** Answers from now on. */
  public void serve(final Router router) {
    server.createContext("/", exchange -> exchange(exchange, router));
    server.setExecutor(threads);
    server.start();
  }

  private void exchange(final HttpExchange exchange, final Router router) throws IOException {
    try (exchange) {
      final Answer answer = answer(exchange, router);
      final Headers headers = exchange.getResponseHeaders();
      headers.set("Content-Type", answer.contentType());
      headers.set("Cache-Control", "no-store");
      headers.set("Content-Security-Policy", CONTENT_SECURITY_POLICY);
      headers.set("Cross-Origin-Resource-Policy", "same-origin");
      headers.set("Referrer-Policy", "no-referrer");
      headers.set("X-Content-Type-Options", "nosniff");
      switch (answer) {
        case Answer.Whole whole -> write(exchange, whole);
        case Answer.Events events -> stream(exchange, events);
      }
    }
  }

  private static void write(final HttpExchange exchange, final Answer.Whole answer)
      throws IOException {
    if (exchange.getRequestMethod().equals("HEAD")) {
      exchange.sendResponseHeaders(answer.status(), -1);
    } else {
      // None at all is -1 here; 0 would be any number.
      final int length = answer.body().length == 0 ? -1 : answer.body().length;
      exchange.sendResponseHeaders(answer.status(), length);
      exchange.getResponseBody().write(answer.body());
    }
  }

  private static void stream(final HttpExchange exchange, final Answer.Events answer)
      throws IOException {
    try {
      if (exchange.getRequestMethod().equals("HEAD")) {
        exchange.sendResponseHeaders(answer.status(), -1);
        return;
      }
      exchange.sendResponseHeaders(answer.status(), 0);
      final EventStream stream = new EventStream(exchange.getResponseBody());
      final Thread writer = Thread.currentThread();
      final Thread watch = Thread.ofVirtual().start(() -> stream.watch(writer, PATIENCE));
      try {
        answer.source().sendTo(stream);
      } catch (final IOException e) {
        LOG.debug("the reader of {} is gone: {}", exchange.getRequestURI(), e.toString());
      } catch (final InterruptedException e) {
        Thread.currentThread().interrupt();
      } finally {
        watch.interrupt();
      }
    } finally {
      answer.release().run();
    }
  }

  private Answer answer(final HttpExchange exchange, final Router router) throws IOException {
    final String method = exchange.getRequestMethod();
    final Optional<Answer> refusal = sameOrigin.refusal(method, exchange.getRequestHeaders());
    if (refusal.isPresent()) {
      return refusal.get();
    }
    byte[] body = {};
    if (method.equals("POST")) {
      body = exchange.getRequestBody().readNBytes(MAX_BODY + 1);
      if (body.length > MAX_BODY) {
        return Answer.error(413, "the body is longer than " + MAX_BODY + " bytes");
      }
    }
    try {
      return router.answer(method, exchange.getRequestURI(), body);
    } catch (final RuntimeException e) {
      LOG.warn("{} {} failed", method, exchange.getRequestURI(), e);
      return Answer.error(500, e.toString());
    }
  }

  @Override
  public void close() {
    server.stop(0);
    threads.shutdownNow();
  }
}
