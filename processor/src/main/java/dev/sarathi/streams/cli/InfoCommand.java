package dev.sarathi.streams.cli;

import com.sun.management.HotSpotDiagnosticMXBean;
import dev.sarathi.runtime.execute.cpu.KernelSet;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** What a report about a problem should tell of the machine and the installation. */
@Command(name = "info", description = "Show the version and what this machine offers.")
final class InfoCommand implements Runnable {
  @Spec private CommandSpec command;

  @Override
  public void run() {
    final Runtime runtime = Runtime.getRuntime();
    final Path model = Path.of(System.getProperty("sarathi.home", "."), "models", "storyteller");
    show("version", Version.number());
    show("java", Runtime.version() + " (" + System.getProperty("java.vendor") + ")");
    show("system", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
    show("processors", runtime.availableProcessors());
    show("max memory", (runtime.maxMemory() >> 20) + " MiB");
    show("vector width", vectorBits() + " bits");
    show("kernels", kernels());
    show("bundled model", Files.isDirectory(model) ? model : model + " (missing)");
  }

  private void show(final String name, final Object value) {
    command.commandLine().getOut().printf("%-14s %s%n", name, value);
  }

  private static String kernels() {
    final String obstacle = KernelSet.NATIVE.obstacle();
    return obstacle.isEmpty() ? "java, native" : "java (not native: " + obstacle + ")";
  }

  /** Asked of the VM, so that the command also works where the vector module was not added. */
  private static int vectorBits() {
    final HotSpotDiagnosticMXBean vm =
        ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
    return Integer.parseInt(vm.getVMOption("MaxVectorSize").getValue()) * Byte.SIZE;
  }
}
