package dev.sarathi.tests;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Keys and certificates of a test, made by the JDK's {@code keytool}; valid for a day. */
record Certificates(Path directory) {
  static final String PASSWORD = "keys-hunter2";

  /** A key with a certificate for localhost, and a store of certificates that has it. */
  static Certificates make(final Path directory) throws IOException, InterruptedException {
    Files.createDirectories(directory);
    final Certificates certificates = new Certificates(directory);
    certificates.make("server");
    certificates.make("stranger");
    return certificates;
  }

  /** What a server shows. */
  Path keys() {
    return store("server-keys");
  }

  /** Trusts the server. */
  Path trust() {
    return store("server-trust");
  }

  /** Trusts somebody else. */
  Path strangersTrust() {
    return store("stranger-trust");
  }

  private Path store(final String name) {
    return directory.resolve(name + ".p12");
  }

  private void make(final String name) throws IOException, InterruptedException {
    final String certificate = directory.resolve(name + ".pem").toString();
    keytool(
        store(name + "-keys"),
        "-genkeypair -keyalg EC -groupname secp256r1 -validity 1 -dname CN="
            + name
            + " -ext SAN=dns:localhost,ip:127.0.0.1");
    keytool(store(name + "-keys"), "-exportcert -rfc -file " + certificate);
    keytool(store(name + "-trust"), "-importcert -noprompt -file " + certificate);
  }

  private static void keytool(final Path store, final String arguments)
      throws IOException, InterruptedException {
    final List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "keytool").toString());
    command.addAll(List.of(arguments.split(" ")));
    command.addAll(
        List.of(
            "-alias",
            "localhost",
            "-storetype",
            "PKCS12",
            "-storepass",
            PASSWORD,
            "-keystore",
            store.toString()));
    final Process process = new ProcessBuilder(command).inheritIO().start();
    if (!process.waitFor(60, TimeUnit.SECONDS) || process.exitValue() != 0) {
      process.destroyForcibly();
      throw new IllegalStateException("failed: keytool " + arguments);
    }
  }
}
