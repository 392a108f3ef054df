package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.model.Model;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/** Prints a digest of logits, to be compared between JVMs of different vector widths. */
final class VectorWidthProbe {
  private VectorWidthProbe() {}

  public static void main(final String[] arguments) throws Exception {
    System.out.println("digest " + digest());
  }

  static String digest() throws Exception {
    final MessageDigest sha = MessageDigest.getInstance("SHA-256");
    final List<Path> directories = new ArrayList<>(Golden.families());
    directories.add(Golden.STORYTELLER);
    for (Path directory : directories) {
      try (Model model = Model.open(directory)) {
        for (WeightFormat format : WeightFormat.values()) {
          digest(sha, model, format, Golden.read(directory));
        }
      }
    }
    return HexFormat.of().formatHex(sha.digest());
  }

  private static void digest(
      final MessageDigest sha,
      final Model model,
      final WeightFormat format,
      final List<Golden> goldens) {
    try (CpuExecutor executor = new CpuExecutor(model, 64, 128, 2, format)) {
      final Generations generations = new Generations(executor, 4);
      for (Golden golden : goldens.subList(1, 4)) {
        generations.add(golden.prompt(), 3);
      }
      for (var running : generations.finish(30)) {
        for (float[] logits : running.logits) {
          final ByteBuffer bytes = ByteBuffer.allocate(4 * logits.length);
          bytes.asFloatBuffer().put(logits);
          sha.update(bytes.array());
        }
      }
    }
  }
}
