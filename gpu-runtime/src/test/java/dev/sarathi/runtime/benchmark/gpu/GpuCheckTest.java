package dev.sarathi.runtime.benchmark.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.sarathi.runtime.benchmark.gpu.Check.Result;
import dev.sarathi.runtime.execute.cuda.Driver;
import dev.sarathi.runtime.execute.cuda.Launch;
import dev.sarathi.runtime.execute.cuda.Primitive;
import dev.sarathi.runtime.execute.cuda.TwinDriver;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The check of a GPU, over the CPU twin of one. */
class GpuCheckTest {
  private static final Path REFERENCES = Path.of("src/test/resources");

  /** The longest prompts take the twin seconds. */
  private static final int SHORT = 100;

  private final AtomicInteger seed = new AtomicInteger();

  @BeforeEach
  void requireTwin() {
    assumeThat(TwinDriver.built()).as("a C++ compiler was there to build the twin").isTrue();
  }

  private Driver twin() {
    return new TwinDriver(seed.incrementAndGet());
  }

  private static List<Check> run(final Supplier<Driver> drivers, final String... models) {
    final GpuCheck check = new GpuCheck(drivers, REFERENCES, SHORT);
    final List<Check> seen = new ArrayList<>();
    Arrays.stream(models).forEach(model -> check.run(model, seen::add));
    return seen;
  }

  @ParameterizedTest
  @ValueSource(strings = {"falcon40b-one-norm", "llama3", "llama-heads64", "mistral-heads128"})
  void shouldPassADeviceThatComputesWell(final String model) {
    final List<Check> checks = run(this::twin, model);

    assertThat(checks).hasSize(3).allMatch(check -> check.result() == Result.OK);
  }

  @Test
  @Tag("long")
  void shouldPassADeviceThatComputesWellWithEveryModel() {
    final GpuCheck check = new GpuCheck(this::twin, REFERENCES, Integer.MAX_VALUE);
    final List<Check> checks = new ArrayList<>();
    check.models().forEach(model -> check.run(model, checks::add));

    assertThat(checks)
        .hasSize(3 * check.models().size())
        .allMatch(seen -> seen.result() == Result.OK);
  }

  @Test
  void shouldFailADeviceWhoseLogitsAreFarOff() {
    // given a device that adds 1 to every mean square
    final List<Check> checks = run(() -> launching(this::withALargeEpsilon), "llama-heads64");

    // then
    assertThat(checks.getFirst().result()).isEqualTo(Result.FAILED);
    assertThat(checks.getFirst().figure()).contains("at most 2");
  }

  @Test
  void shouldFailADeviceWhoseBitsDependOnTheBatch() {
    // given a device that leaves the last inputs out where a batch has few rows
    final List<Check> checks = run(() -> launching(this::cutShort), "llama-heads64");

    // then
    assertThat(checks.getLast().compares()).startsWith("bits");
    assertThat(checks.getLast().result()).isEqualTo(Result.FAILED);
    assertThat(checks.getLast().figure()).containsPattern("prompt \\d, token \\d+ differs under");
  }

  @Test
  void shouldFailADeviceThatBreaksDownAndGoOn() {
    final UnaryOperator<Launch> none =
        launch -> new Launch("none", 1, 1, 32, 0, launch.arguments());

    final List<Check> checks = run(() -> launching(none), "llama-heads64", "yi");

    assertThat(checks)
        .extracting(Check::figure)
        .containsExactly("there is no kernel none", "there is no kernel none");
    assertThat(checks).allMatch(check -> check.result() == Result.FAILED);
  }

  @Test
  void shouldPassInstructionsThatDoWhatTheManualSays() {
    final List<Check> checks = new ArrayList<>();

    final Optional<PrimitiveRecording> recording =
        new GpuCheck(this::twin, REFERENCES, SHORT).primitives(checks::add);

    assertThat(checks)
        .hasSize(Primitive.values().length)
        .allMatch(check -> check.result() == Result.OK);
    assertThat(recording).map(PrimitiveRecording::architecture).contains("twin");
  }

  @Test
  void shouldFailAnInstructionThatDoesSomethingElse() {
    // given a device that does not transpose
    final UnaryOperator<Launch> change =
        launch ->
            launch.kernel().equals("probe_load_matrices_transposed")
                ? new Launch(
                    "probe_load_matrices",
                    launch.gridX(),
                    launch.gridY(),
                    launch.threads(),
                    launch.sharedBytes(),
                    launch.arguments())
                : launch;
    final List<Check> checks = new ArrayList<>();

    // when
    new GpuCheck(() -> launching(change), REFERENCES, SHORT).primitives(checks::add);

    // then
    assertThat(checks)
        .filteredOn(check -> check.result() == Result.FAILED)
        .extracting(Check::subject)
        .containsExactly("ldmatrix.trans");
  }

  @Test
  void shouldCompareInstructionsWithThoseRecordedOnAnotherDevice(@TempDir final Path references)
      throws IOException {
    // given recorded bits, one of which is another one
    Files.createDirectory(references.resolve("golden"));
    Files.copy(REFERENCES.resolve("golden-bf16.json"), references.resolve("golden-bf16.json"));
    final GpuCheck check = new GpuCheck(this::twin, references, SHORT);
    final PrimitiveRecording recording = check.primitives(seen -> {}).orElseThrow();
    recording.write(references.resolve("primitives"));
    final List<Check> same = new ArrayList<>();
    check.primitives(same::add);
    recording.results().get(Primitive.MULTIPLY)[7] ^= 1;
    recording.write(references.resolve("primitives"));

    // when
    final List<Check> other = new ArrayList<>();
    check.primitives(other::add);

    // then
    assertThat(same.getLast())
        .isEqualTo(
            new Check(
                "instructions", "bits beside those recorded", Result.OK, "those of a CPU twin"));
    assertThat(other.getLast().result()).isEqualTo(Result.FAILED);
    assertThat(other.getLast().figure()).isEqualTo("other than on a CPU twin: mma.sync");
  }

  @Test
  void shouldFindRecordedBitsWhereTheTwinIs() throws IOException {
    final Path recorded = REFERENCES.resolve("primitives");
    assumeThat(recorded).as("the bits of a GPU, which gpu-check --record writes").isDirectory();

    try (Stream<Path> devices = Files.list(recorded)) {
      assertThat(devices)
          .isNotEmpty()
          .allSatisfy(
              device ->
                  assertThat(PrimitiveRecording.read(device).results())
                      .allSatisfy(
                          (primitive, results) ->
                              assertThat(primitive.error(results))
                                  .isLessThanOrEqualTo(primitive.allowedError())));
    }
  }

  @Test
  void shouldNeedReferences() {
    assertThatThrownBy(() -> new GpuCheck(this::twin, Path.of("src/test/java"), SHORT))
        .isInstanceOf(UncheckedIOException.class)
        .hasMessageContaining("golden");
  }

  private Launch withALargeEpsilon(final Launch launch) {
    final Object[] arguments = launch.arguments().clone();
    if (launch.kernel().equals("normalise")) {
      arguments[7] = 1f; // epsilon
    }
    return with(launch, arguments);
  }

  private Launch cutShort(final Launch launch) {
    final Object[] arguments = launch.arguments().clone();
    if (launch.kernel().equals("multiply_16x32")) {
      arguments[2] = (Integer) arguments[2] - 64; // columns
    }
    return with(launch, arguments);
  }

  private static Launch with(final Launch launch, final Object... arguments) {
    return new Launch(
        launch.kernel(),
        launch.gridX(),
        launch.gridY(),
        launch.threads(),
        launch.sharedBytes(),
        arguments);
  }

  /** A twin whose launches are changed. */
  private Driver launching(final UnaryOperator<Launch> change) {
    final Driver twin = twin();
    return (Driver)
        Proxy.newProxyInstance(
            Driver.class.getClassLoader(),
            new Class<?>[] {Driver.class},
            (proxy, method, arguments) -> {
              try {
                return method.invoke(
                    twin,
                    method.getName().equals("launch")
                        ? new Object[] {change.apply((Launch) arguments[0])}
                        : arguments);
              } catch (final InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }
}
