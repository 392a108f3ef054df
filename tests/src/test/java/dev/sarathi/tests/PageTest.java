package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.logging.Level;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.openqa.selenium.By;
import org.openqa.selenium.Keys;
import org.openqa.selenium.OutputType;
import org.openqa.selenium.WebElement;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.chrome.ChromeDriverService;
import org.openqa.selenium.chrome.ChromeOptions;
import org.openqa.selenium.logging.LogType;
import org.openqa.selenium.logging.LoggingPreferences;

/** The page of an instance in a browser, with two instances at a real broker. */
@Tag("long")
class PageTest {
  /** Also writes the pictures of the documentation. */
  private static final String WRITE = "sarathi.docs.write";

  private static final Path CHROMIUM = Path.of("/usr/bin/chromium");
  private static final Path CHROMEDRIVER = Path.of("/usr/bin/chromedriver");
  private static final Duration LIMIT = Duration.ofSeconds(180);
  private static final int STORIES = 8;

  @TempDir private static Path directory;
  private static DevelopmentBroker broker;
  private static Application one;
  private static Application two;
  private static ChromeDriver browser;

  @BeforeAll
  static void start() {
    assumeTrue(
        Files.isExecutable(CHROMIUM) && Files.isExecutable(CHROMEDRIVER),
        "the page is not tested: %s or %s is missing (Debian: chromium, chromium-driver)"
            .formatted(CHROMIUM, CHROMEDRIVER));
    broker = DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
    one = Application.start(properties("one"));
    two = Application.start(properties("two"));
    browser = browser();
  }

  private static Map<String, Object> properties(final String instance) {
    final Map<String, Object> properties = new HashMap<>();
    properties.put("schema.registry.url", "mock://tests");
    properties.put("bootstrap.servers", broker.bootstrapServers());
    properties.put("application.id", "stories");
    properties.put("state.dir", directory.resolve(instance).toString());
    properties.put("sarathi.model", Stories.MODEL.toString());
    properties.put("sarathi.cpu.threads", 1);
    properties.put("sarathi.token.budget", 64);
    properties.put("sarathi.topics.partitions", 2);
    properties.put("sarathi.http.listen", "127.0.0.1:0");
    return properties;
  }

  private static ChromeDriver browser() {
    final ChromeOptions options = new ChromeOptions();
    options.setBinary(CHROMIUM.toFile());
    // Root has no sandbox.
    options.addArguments("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars");
    options.addArguments("--window-size=1440,1100");
    final LoggingPreferences logs = new LoggingPreferences();
    logs.enable(LogType.BROWSER, Level.ALL);
    options.setCapability(ChromeOptions.LOGGING_PREFS, logs);
    return new ChromeDriver(
        new ChromeDriverService.Builder().usingDriverExecutable(CHROMEDRIVER.toFile()).build(),
        options);
  }

  @AfterAll
  static void stop() {
    if (browser != null) {
      browser.quit();
    }
    if (two != null) {
      two.close();
    }
    if (one != null) {
      one.close();
    }
    if (broker != null) {
      broker.close();
    }
  }

  @Test
  void shouldShowAnInstanceAtWork() throws IOException {
    // given: stories in both partitions
    until(() -> one.isRunning() && two.isRunning());
    browser.get("http://" + one.httpAddress().orElseThrow() + "/");
    until(() -> text("link-state").equals("live"));
    until(() -> browser.findElements(By.cssSelector("#instances tr")).size() == 2);
    assertThat(text("timeline-empty")).contains("No iteration yet");
    final List<String> ids =
        IntStream.range(0, 2 * STORIES).mapToObj(i -> "story-%02d".formatted(i)).toList();
    send(ids.stream().map(PageTest::story).toList());

    // when, then: a running generation grows
    until(
        () -> !browser.findElements(By.cssSelector("#generations [data-state=decode]")).isEmpty());
    final String story =
        browser
            .findElement(By.cssSelector("#generations [data-state=decode]"))
            .getDomAttribute("data-id");
    final int generated = generated(story);
    assertThat(generated).isPositive();
    until(() -> generated(story) > generated + 20);
    until(() -> Integer.parseInt(text("running")) >= 2);
    until(() -> Integer.parseInt(text("kv-used").replace(",", "")) > 0);

    // when, then: prompts of several chunks stand beside the decodes
    send(List.of(Stories.sampled("long-0", 300, 400), Stories.sampled("long-1", 300, 400)));
    until(() -> number("timeline", "data-mixed") >= 3);
    assertThat(number("timeline", "data-most-decodes-beside-prefill")).isGreaterThanOrEqualTo(2);
    assertThat(text("timeline-text")).contains("with prefill chunks beside decodes");

    // when, then: tasks of this instance, partitions of both
    until(() -> browser.findElements(By.cssSelector("#tasks tr")).size() == 1);
    assertThat(text("tasks")).contains("prompts-");
    assertThat(text("instances")).contains("prompts-0", "prompts-1", "this one");

    // when, then: the state of requests, of both instances, uncommitted as it may be
    for (final String id : ids.subList(0, 4)) {
      fill("request-id", id);
      browser.findElement(By.id("find-button")).click();
      until(() -> id.equals(attribute("found", "data-id")));
      assertThat(attribute("found", "data-committed")).isEqualTo("false");
      assertThat(text("found")).contains("uncommitted", "prompts-");
    }
    fill("request-id", "nobody");
    browser.findElement(By.id("find-button")).click();
    until(() -> text("found").contains("No instance has an unfinished request nobody"));

    // when, then: a prompt is answered
    fill("prompt", "Once upon a time");
    fill("max-tokens", "24");
    browser.findElement(By.id("generate")).click();
    until(() -> text("answer-text").contains("24 tokens after a prompt of"));
    assertThat(text("answer")).startsWith("Once upon a time").hasSizeGreaterThan(60);
    // and one that is stopped
    fill("max-tokens", "256");
    browser.findElement(By.id("generate")).click();
    until(() -> text("answer").length() > 30);
    browser.findElement(By.id("stop")).click();
    until(() -> text("answer-text").equals("Stopped."));
    until(() -> number("ttft", "data-total") > 0 && number("tbt", "data-total") > 0);

    shouldBeReachedByKeyboard();
    fill("request-id", ids.getFirst());
    browser.findElement(By.id("find-button")).sendKeys(Keys.ENTER);
    until(() -> ids.getFirst().equals(attribute("found", "data-id")));
    fill("max-tokens", "48");
    browser.findElement(By.id("generate")).click();
    until(() -> text("answer-text").contains("48 tokens after a prompt of"));

    // then: it fits a phone
    size(360, 800);
    final Object width = browser.executeScript("return document.documentElement.scrollWidth");
    assertThat(width).isEqualTo(360L);

    if (Boolean.getBoolean(WRITE)) {
      writePictures();
    }

    // and: the browser has nothing to complain of
    assertThat(browser.manage().logs().get(LogType.BROWSER).getAll())
        .filteredOn(entry -> entry.getLevel().intValue() >= Level.WARNING.intValue())
        .isEmpty();
  }

  private static void shouldBeReachedByKeyboard() {
    // Where the keyboard goes on from: blur() alone leaves that at the button clicked last.
    browser.executeScript("document.querySelector('.skip').focus()");
    final List<String> reached = new ArrayList<>();
    for (int i = 0; i < 13; i++) {
      if (i > 0) {
        browser.switchTo().activeElement().sendKeys(Keys.TAB);
      }
      final WebElement active = browser.switchTo().activeElement();
      final String id = active.getDomAttribute("id");
      final String name = active.getDomAttribute("name");
      reached.add(
          id != null && !id.isEmpty() ? id : name != null ? name : active.getDomAttribute("class"));
      if ("timeline".equals(id)) {
        active.sendKeys(Keys.ARROW_LEFT);
        assertThat(active.getDomAttribute("aria-valuetext")).startsWith("Iteration ");
        assertThat(text("readout")).startsWith("Iteration ");
        active.sendKeys(Keys.ESCAPE);
      }
    }
    assertThat(reached)
        .containsSubsequence(
            "skip",
            "theme",
            "range",
            "timeline",
            "scroll",
            "span",
            "prompt",
            "max-tokens",
            "temperature",
            "generate",
            "request-id",
            "find-button");
  }

  private static void writePictures() throws IOException {
    final Path images = Stories.MODEL.resolve("../../docs/images").normalize();
    browser.executeScript("document.activeElement.blur()");
    picture(images.resolve("page-light.png"), 1440);
    browser.executeScript("document.getElementById('theme').click()");
    picture(images.resolve("page-dark.png"), 1440);
    browser.executeScript("document.getElementById('theme').click()");
    picture(images.resolve("page-phone.png"), 390);
  }

  private static void picture(final Path file, final int width) throws IOException {
    size(width, 900);
    final Object height = browser.executeScript("return document.documentElement.scrollHeight");
    size(width, ((Number) height).intValue());
    await().pollDelay(Duration.ofSeconds(1)).until(() -> true);
    Files.createDirectories(file.getParent());
    Files.write(file, browser.getScreenshotAs(OutputType.BYTES));
  }

  /** As a phone has it; no window of a desktop is so narrow. */
  private static void size(final int width, final int height) {
    browser.executeCdpCommand(
        "Emulation.setDeviceMetricsOverride",
        Map.of("width", width, "height", height, "deviceScaleFactor", 1, "mobile", false));
  }

  /** One that goes on until the page has been looked at, and leaves room for chunks beside it. */
  private static PromptRequest story(final String id) {
    return PromptRequest.newBuilder(Stories.sampled(id, 30, 3_500)).setN(3).build();
  }

  private static void send(final List<PromptRequest> requests) {
    Prompts.send(broker.bootstrapServers(), "prompts", requests);
  }

  private static void fill(final String id, final String value) {
    final WebElement field = browser.findElement(By.id(id));
    field.clear();
    field.sendKeys(value);
  }

  private static String text(final String id) {
    return browser.findElement(By.id(id)).getText();
  }

  private static String attribute(final String id, final String name) {
    return browser.findElement(By.id(id)).getDomAttribute(name);
  }

  private static int number(final String id, final String name) {
    final String value = attribute(id, name);
    return value == null ? 0 : Integer.parseInt(value);
  }

  /** How many tokens the page shows of a request; read at once, since rows come and go. */
  private static int generated(final String request) {
    final Object value =
        browser.executeScript(
            "return document.querySelector(`#generations [data-id='${arguments[0]}']`)"
                + "?.dataset.generated",
            request);
    return value == null ? 0 : Integer.parseInt(value.toString());
  }

  private static void until(final Callable<Boolean> condition) {
    await().atMost(LIMIT).pollInterval(Duration.ofMillis(100)).ignoreExceptions().until(condition);
  }
}
