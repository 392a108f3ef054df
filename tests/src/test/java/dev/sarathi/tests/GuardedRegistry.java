package dev.sarathi.tests;

import com.sun.net.httpserver.BasicAuthenticator;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.security.KeyStore;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

/** Stands before a schema registry: TLS, and nobody without a user and a password. */
final class GuardedRegistry implements AutoCloseable {
  static final String USER = "app";
  static final String PASSWORD = "registry-hunter2";

  private static final String PATH = "/apis/ccompat/v7";

  private final HttpsServer server;
  private final HttpClient client = HttpClient.newHttpClient();
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final String registry;

  private GuardedRegistry(final HttpsServer server, final String registry) {
    this.server = server;
    this.registry = registry;
  }

  /**
   * @param registry the address that its path begins with
   */
  static GuardedRegistry start(final String registry, final Certificates certificates)
      throws Exception {
    final char[] password = Certificates.PASSWORD.toCharArray();
    final KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(certificates.keys())) {
      keys.load(in, password);
    }
    final KeyManagerFactory managers =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    managers.init(keys, password);
    final SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(managers.getKeyManagers(), null, null);
    final HttpsServer server =
        HttpsServer.create(new InetSocketAddress(InetAddress.getByName("localhost"), 0), 16);
    server.setHttpsConfigurator(new HttpsConfigurator(tls));
    final GuardedRegistry proxy =
        new GuardedRegistry(server, registry.substring(0, registry.length() - PATH.length()));
    server
        .createContext("/", proxy::pass)
        .setAuthenticator(
            new BasicAuthenticator("registry") {
              @Override
              public boolean checkCredentials(final String user, final String given) {
                return user.equals(USER) && given.equals(PASSWORD);
              }
            });
    server.setExecutor(proxy.threads);
    server.start();
    return proxy;
  }

  /** For {@code schema.registry.url}. */
  String url() {
    return "https://" + address();
  }

  private String address() {
    return "localhost:" + server.getAddress().getPort() + PATH;
  }

  private void pass(final HttpExchange exchange) {
    try (exchange) {
      final HttpRequest.Builder request =
          HttpRequest.newBuilder(URI.create(registry + exchange.getRequestURI()))
              .method(
                  exchange.getRequestMethod(),
                  BodyPublishers.ofByteArray(exchange.getRequestBody().readAllBytes()));
      final String type = exchange.getRequestHeaders().getFirst("Content-Type");
      if (type != null) {
        request.header("Content-Type", type);
      }
      final HttpResponse<byte[]> answer = client.send(request.build(), BodyHandlers.ofByteArray());
      answer
          .headers()
          .firstValue("Content-Type")
          .ifPresent(value -> exchange.getResponseHeaders().set("Content-Type", value));
      exchange.sendResponseHeaders(answer.statusCode(), answer.body().length);
      try (OutputStream body = exchange.getResponseBody()) {
        body.write(answer.body());
      }
    } catch (final Exception e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    server.stop(0);
    threads.close();
    client.close();
  }
}
