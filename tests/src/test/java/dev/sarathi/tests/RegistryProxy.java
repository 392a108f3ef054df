package dev.sarathi.tests;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Stands between a registry and its clients, and takes it away from them: a registry in memory that
 * is killed forgets its schemas.
 */
final class RegistryProxy implements AutoCloseable {
  private final URI registry;
  private final int port;
  private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
  private volatile boolean hanging;
  private ServerSocket server;
  private Thread accepting;

  private RegistryProxy(final URI registry, final int port) {
    this.registry = registry;
    this.port = port;
  }

  /** One that refuses connections for now. */
  static RegistryProxy to(final String url) throws IOException {
    try (ServerSocket free = new ServerSocket(0)) {
      return new RegistryProxy(URI.create(url), free.getLocalPort());
    }
  }

  /** For {@code schema.registry.url}. */
  String url() {
    return "http://localhost:%d%s".formatted(port, registry.getPath());
  }

  /** Lets the registry's clients through. */
  RegistryProxy open() throws IOException {
    refuse();
    hanging = false;
    listen();
    return this;
  }

  /** Takes connections, and answers nothing. */
  void hang() throws IOException {
    refuse();
    hanging = true;
    listen();
  }

  private void listen() throws IOException {
    final ServerSocket listening = new ServerSocket();
    listening.setReuseAddress(true);
    listening.bind(new InetSocketAddress(InetAddress.getByName("localhost"), port));
    server = listening;
    accepting = Thread.ofPlatform().daemon().start(() -> accept(listening));
  }

  private void accept(final ServerSocket listening) {
    try {
      while (true) {
        final Socket client = listening.accept();
        sockets.add(client);
        if (!hanging) {
          final Socket there = new Socket(registry.getHost(), registry.getPort());
          sockets.add(there);
          Thread.ofVirtual().start(() -> copy(client, there));
          Thread.ofVirtual().start(() -> copy(there, client));
        }
      }
    } catch (final IOException e) {
      // Closed.
    }
  }

  private static void copy(final Socket from, final Socket to) {
    try (from;
        to) {
      from.getInputStream().transferTo(to.getOutputStream());
    } catch (final IOException e) {
      // One of them has hung up; so does the other.
    }
  }

  /** Refuses connections, and cuts those that are there. */
  void refuse() {
    try {
      if (server != null) {
        server.close();
        // The port is taken until it has noticed.
        accepting.join();
      }
      for (final Socket socket : sockets) {
        socket.close();
      }
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    } catch (final InterruptedException e) {
      throw new IllegalStateException(e);
    }
    sockets.clear();
  }

  @Override
  public void close() {
    refuse();
  }
}
