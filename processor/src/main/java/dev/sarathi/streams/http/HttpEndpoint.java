package dev.sarathi.streams.http;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
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

  private final HttpServer server;
  private final ExecutorService threads =
      Executors.newThreadPerTaskExecutor(Thread.ofVirtual().name("http-", 0).factory());

  private HttpEndpoint(final HttpServer server) {
    this.server = server;
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
    LOG.info("listening at http://{}", address());
  }

  private static void exchange(final HttpExchange exchange, final Router router)
      throws IOException {
    try (exchange) {
      final Answer answer = answer(exchange, router);
      exchange.getResponseHeaders().set("Content-Type", answer.contentType());
      exchange.getResponseHeaders().set("Cache-Control", "no-store");
      if (exchange.getRequestMethod().equals("HEAD")) {
        exchange.sendResponseHeaders(answer.status(), -1);
      } else {
        exchange.sendResponseHeaders(answer.status(), answer.body().length);
        exchange.getResponseBody().write(answer.body());
      }
    }
  }

  private static Answer answer(final HttpExchange exchange, final Router router) {
    try {
      return router.answer(exchange.getRequestMethod(), exchange.getRequestURI());
    } catch (final RuntimeException e) {
      LOG.warn("{} {} failed", exchange.getRequestMethod(), exchange.getRequestURI(), e);
      return Answer.error(500, e.toString());
    }
  }

  @Override
  public void close() {
    server.stop(0);
    threads.shutdownNow();
  }
}
