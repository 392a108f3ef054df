package dev.sarathi.streams.http;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A real endpoint, asked over HTTP. */
@Timeout(60)
class HttpEndpointTest {
  private final HttpClient client = HttpClient.newHttpClient();
  private final CountDownLatch released = new CountDownLatch(1);
  private final HttpEndpoint endpoint = HttpEndpoint.bind("listen", "127.0.0.1:0");

  @BeforeEach
  void serve() {
    endpoint.serve(
        new Router()
            .get(
                "/text",
                _ -> Answer.of(200, "text/plain", "hello".getBytes(StandardCharsets.UTF_8)))
            .get("/empty", _ -> Answer.of(200, "text/plain", new byte[0]))
            .get("/endless", _ -> new Answer.Events(HttpEndpointTest::count, released::countDown))
            .get(
                "/ten",
                _ ->
                    new Answer.Events(
                        stream -> {
                          for (int i = 0; i < 10; i++) {
                            stream.send("number", JsonNodeFactory.instance.numberNode(i));
                          }
                        },
                        released::countDown))
            .post("/echo", query -> Answer.of(200, "text/plain", query.body())));
  }

  private static void count(final EventStream stream) throws IOException, InterruptedException {
    for (int i = 0; ; i++) {
      stream.send("number", JsonNodeFactory.instance.textNode("x".repeat(10_000) + i));
    }
  }

  @AfterEach
  void stop() {
    endpoint.close();
    client.close();
  }

  @Test
  void shouldTellBrowsersToTrustNothingButItself() throws Exception {
    final HttpResponse<String> answer = get("/text");

    assertThat(answer.body()).isEqualTo("hello");
    assertThat(answer.headers().firstValue("Content-Security-Policy").orElseThrow())
        .contains("default-src 'self'", "frame-ancestors 'none'")
        .doesNotContain("unsafe");
    assertThat(answer.headers().firstValue("X-Content-Type-Options")).contains("nosniff");
    assertThat(answer.headers().firstValue("Cross-Origin-Resource-Policy")).contains("same-origin");
    assertThat(get("/empty").body()).isEmpty();
  }

  @Test
  void shouldSendEventsUntilTheSourceEnds() throws Exception {
    final HttpResponse<String> answer = get("/ten");

    assertThat(answer.headers().firstValue("Content-Type")).contains("text/event-stream");
    assertThat(answer.body())
        .startsWith("event: number\ndata: 0\n\n")
        .endsWith("event: number\ndata: 9\n\n");
    assertThat(released.await(10, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void shouldReleaseAStreamWhoseReaderIsGone() throws Exception {
    // given
    final HttpResponse<InputStream> answer =
        client.send(HttpRequest.newBuilder(uri("/endless")).build(), BodyHandlers.ofInputStream());
    assertThat(answer.body().read()).isPositive();

    // when
    answer.body().close();

    // then
    assertThat(released.await(10, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void shouldReleaseAStreamThatNobodyReadsAndAnswerOthersMeanwhile() throws Exception {
    // given
    try (Socket socket = new Socket("127.0.0.1", uri("/").getPort())) {
      socket.getOutputStream().write(request("GET", "/endless", "127.0.0.1"));

      // when, then
      assertThat(get("/text").body()).isEqualTo("hello");
      assertThat(released.await(30, TimeUnit.SECONDS)).isTrue();
    }
  }

  @Test
  void shouldReleaseAStreamThatIsOnlyAskedForItsHead() throws Exception {
    final HttpRequest head =
        HttpRequest.newBuilder(uri("/endless")).method("HEAD", BodyPublishers.noBody()).build();

    assertThat(client.send(head, BodyHandlers.discarding()).statusCode()).isEqualTo(200);
    assertThat(released.await(10, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void shouldAnswerOnlyToItsOwnNamesOnLoopback() throws Exception {
    final String port = ":" + uri("/").getPort();
    for (final String name : new String[] {"127.0.0.1", "localhost", "LocalHost.", "localhost:9"}) {
      assertThat(statusFor(name)).as(name).isEqualTo(200);
    }
    for (final String name :
        new String[] {"attacker.example", "attacker.example" + port, "", "127.0.0.2"}) {
      assertThat(statusFor(name)).as(name).isEqualTo(421);
    }
  }

  @Test
  void shouldRefuseWhatAPageOfAnotherSiteWantsDone() throws Exception {
    final String own = "http://127.0.0.1:" + uri("/").getPort();

    assertThat(post("Origin", own).statusCode()).isEqualTo(200);
    assertThat(post("Origin", own).body()).isEqualTo("{}");
    assertThat(post("Sec-Fetch-Site", "same-origin").statusCode()).isEqualTo(200);
    assertThat(post("X-Nothing", "no browser").statusCode()).isEqualTo(200);

    assertThat(post("Origin", "http://attacker.example").statusCode()).isEqualTo(403);
    assertThat(post("Origin", "null").statusCode()).isEqualTo(403);
    assertThat(post("Origin", "http://127.0.0.1:1").statusCode()).isEqualTo(403);
    assertThat(post("Sec-Fetch-Site", "cross-site").statusCode()).isEqualTo(403);
    assertThat(post("Sec-Fetch-Site", "same-site").statusCode()).isEqualTo(403);
  }

  @Test
  void shouldTakeJsonOnlyAndNotMuch() throws Exception {
    assertThat(post("text/plain", "{}".getBytes(StandardCharsets.UTF_8), "X", "y").statusCode())
        .isEqualTo(415);
    assertThat(post("application/json; charset=utf-8", new byte[1 << 16], "X", "y").statusCode())
        .isEqualTo(200);
    assertThat(post("application/json", new byte[(1 << 16) + 1], "X", "y").statusCode())
        .isEqualTo(413);
    assertThat(get("/echo").statusCode()).isEqualTo(405);
    assertThat(get("/echo").body()).contains("GET is not answered here; valid is POST");
  }

  private HttpResponse<String> get(final String path) throws Exception {
    return client.send(
        HttpRequest.newBuilder(uri(path)).timeout(Duration.ofSeconds(10)).build(),
        BodyHandlers.ofString());
  }

  private HttpResponse<String> post(final String header, final String value) throws Exception {
    return post("application/json", "{}".getBytes(StandardCharsets.UTF_8), header, value);
  }

  private HttpResponse<String> post(
      final String type, final byte[] body, final String header, final String value)
      throws Exception {
    return client.send(
        HttpRequest.newBuilder(uri("/echo"))
            .header("Content-Type", type)
            .header(header, value)
            .POST(BodyPublishers.ofByteArray(body))
            .build(),
        BodyHandlers.ofString());
  }

  /** By hand, since the client tells the right host. */
  private int statusFor(final String host) throws IOException {
    try (Socket socket = new Socket("127.0.0.1", uri("/").getPort());
        BufferedReader reader =
            new BufferedReader(
                new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8))) {
      socket.getOutputStream().write(request("GET", "/text", host));
      try (Stream<String> lines = reader.lines()) {
        return Integer.parseInt(lines.findFirst().orElseThrow().split(" ")[1]);
      }
    }
  }

  private static byte[] request(final String method, final String path, final String host) {
    return "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
        .formatted(method, path, host)
        .getBytes(StandardCharsets.UTF_8);
  }

  private URI uri(final String path) {
    return URI.create("http://" + endpoint.address() + path);
  }
}
