package dev.sarathi.tests;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.security.interfaces.RSAPublicKey;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;

/**
 * An identity provider as small as can be: signed tokens for whoever knows the client's secret, and
 * a file with the key that brokers check them by.
 */
final class TokenEndpoint implements AutoCloseable {
  static final String CLIENT = "app";
  static final String SECRET = "client-hunter2";

  private static final Base64.Encoder BASE64 = Base64.getUrlEncoder().withoutPadding();

  private final HttpServer server;
  private final KeyPair keys;

  private TokenEndpoint(final HttpServer server, final KeyPair keys) {
    this.server = server;
    this.keys = keys;
  }

  static TokenEndpoint start() throws IOException, GeneralSecurityException {
    final KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
    generator.initialize(2048);
    final TokenEndpoint endpoint =
        new TokenEndpoint(
            HttpServer.create(new InetSocketAddress(InetAddress.getByName("localhost"), 0), 16),
            generator.generateKeyPair());
    endpoint.server.createContext("/token", endpoint::answer);
    endpoint.server.start();
    return endpoint;
  }

  String url() {
    return "http://localhost:" + server.getAddress().getPort() + "/token";
  }

  /** Writes the public key down as a JSON Web Key Set. */
  void writeKeys(final Path file) throws IOException {
    final RSAPublicKey key = (RSAPublicKey) keys.getPublic();
    Files.writeString(
        file,
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"1\",\"use\":\"sig\",\"alg\":\"RS256\",\"n\":\"%s\",\"e\":\"%s\"}]}"
            .formatted(number(key.getModulus()), number(key.getPublicExponent())));
  }

  private static String number(final BigInteger number) {
    final byte[] bytes = number.toByteArray();
    return BASE64.encodeToString(
        bytes[0] == 0 ? Arrays.copyOfRange(bytes, 1, bytes.length) : bytes);
  }

  private void answer(final HttpExchange exchange) throws IOException {
    try (exchange) {
      final String expected =
          "Basic "
              + Base64.getEncoder()
                  .encodeToString((CLIENT + ":" + SECRET).getBytes(StandardCharsets.UTF_8));
      final boolean known = expected.equals(exchange.getRequestHeaders().getFirst("Authorization"));
      final byte[] answer =
          (known
                  ? "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":600}"
                      .formatted(token())
                  : "{\"error\":\"invalid_client\"}")
              .getBytes(StandardCharsets.UTF_8);
      exchange.getResponseHeaders().set("Content-Type", "application/json");
      exchange.sendResponseHeaders(known ? 200 : 401, answer.length);
      exchange.getResponseBody().write(answer);
    }
  }

  private String token() {
    final long now = Instant.now().getEpochSecond();
    final String signed =
        encoded("{\"alg\":\"RS256\",\"kid\":\"1\",\"typ\":\"JWT\"}")
            + "."
            + encoded(
                "{\"sub\":\"%s\",\"aud\":\"kafka\",\"iss\":\"tests\",\"iat\":%d,\"exp\":%d,\"scope\":\"kafka\"}"
                    .formatted(CLIENT, now, now + 600));
    try {
      final Signature signature = Signature.getInstance("SHA256withRSA");
      signature.initSign(keys.getPrivate());
      signature.update(signed.getBytes(StandardCharsets.US_ASCII));
      return signed + "." + BASE64.encodeToString(signature.sign());
    } catch (final GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String encoded(final String json) {
    return BASE64.encodeToString(json.getBytes(StandardCharsets.UTF_8));
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
