package dev.sarathi.streams.http;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class RouterTest {
  private final Router router =
      new Router()
          .get(
              "/requests/{id}",
              query ->
                  Answer.json(
                      JsonNodeFactory.instance
                          .objectNode()
                          .put("id", query.path().get("id"))
                          .put("state", query.parameter("state").orElse("none"))))
          .get("/health", query -> Answer.error(503, "broken"));

  @Test
  void shouldFindARouteByItsPatternAndDecodeWhatVaries() {
    assertThat(body("GET", "/requests/a%2Fb+%20c?state=run%26ning&state=last"))
        .isEqualTo("{\"id\":\"a/b+ c\",\"state\":\"last\"}\n");
    assertThat(body("GET", "/requests/x/?state=")).contains("\"state\":\"none\"");
  }

  @Test
  void shouldRefuseWhatIsNotThere() {
    assertThat(answer("GET", "/requests").status()).isEqualTo(404);
    assertThat(answer("GET", "/requests/a/b").status()).isEqualTo(404);
    assertThat(answer("GET", "/").status()).isEqualTo(404);
    assertThat(answer("POST", "/health").status()).isEqualTo(405);
    assertThat(answer("GET", "/health").status()).isEqualTo(503);
    assertThat(body("GET", "/health")).isEqualTo("{\"error\":\"broken\"}\n");
  }

  private Answer answer(final String method, final String path) {
    return router.answer(method, URI.create("http://localhost" + path), new byte[0]);
  }

  private String body(final String method, final String path) {
    return new String(((Answer.Whole) answer(method, path)).body(), StandardCharsets.UTF_8);
  }
}
