package dev.sarathi.tests.chaos;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Stands between the applications and a broker, passes Kafka's frames on one by one, and applies
 * the rules. It reads of a frame its length, and of a request the header: api key, correlation id
 * and client id.
 *
 * <p>Threading: two virtual threads for each connection; the rules may be changed by anybody.
 */
final class WireProxy implements AutoCloseable {
  static final short END_TXN = 26;

  private final int broker;
  private final int target;
  private final List<NetworkRule> rules;
  private final ServerSocket server;
  private final Set<Link> links = ConcurrentHashMap.newKeySet();

  /**
   * @param rules shared, and safe to be changed while it is read
   */
  WireProxy(final int broker, final int port, final int target, final List<NetworkRule> rules) {
    this.broker = broker;
    this.target = target;
    this.rules = rules;
    try {
      this.server = new ServerSocket();
      server.setReuseAddress(true);
      server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 200);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
    Thread.ofVirtual().start(this::accept);
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        final Socket client = server.accept();
        Thread.ofVirtual().start(() -> connect(client));
      } catch (final IOException e) {
        // Closed, or a client that has gone already.
      }
    }
  }

  private void connect(final Socket client) {
    final Socket toBroker = new Socket();
    try {
      toBroker.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), target), 2_000);
      client.setTcpNoDelay(true);
      toBroker.setTcpNoDelay(true);
      final Link link = new Link(client, toBroker);
      links.add(link);
      Thread.ofVirtual().start(() -> link.pump(link::passRequest, client, toBroker));
      Thread.ofVirtual().start(() -> link.pump(link::passAnswer, toBroker, client));
    } catch (final IOException e) {
      close(client);
      close(toBroker);
    }
  }

  /** Closes the connections that a rule is about. */
  void cut(final NetworkRule rule) {
    links.stream().filter(link -> rule.where().matches(broker, link.name)).forEach(Link::close);
  }

  @Override
  public void close() {
    try {
      server.close();
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
    links.forEach(Link::close);
  }

  private static void close(final Socket socket) {
    try {
      socket.close();
    } catch (final IOException e) {
      // It is of no use any more in either case.
    }
  }

  /** Whether a frame is to be passed on; false closes the connection. */
  private interface Passage {
    boolean passes(byte[] frame) throws InterruptedException;
  }

  /** One connection. */
  private final class Link {
    private final Socket client;
    private final Socket toBroker;
    private final Set<Integer> unanswered = ConcurrentHashMap.newKeySet();
    private volatile String name = "";

    private Link(final Socket client, final Socket toBroker) {
      this.client = client;
      this.toBroker = toBroker;
    }

    private void pump(final Passage passage, final Socket from, final Socket to) {
      try {
        final DataInputStream in = new DataInputStream(from.getInputStream());
        final DataOutputStream out = new DataOutputStream(to.getOutputStream());
        while (true) {
          final byte[] frame = new byte[in.readInt()];
          in.readFully(frame);
          if (!passage.passes(frame)) {
            break;
          }
          final ByteBuffer whole = ByteBuffer.allocate(4 + frame.length);
          out.write(whole.putInt(frame.length).put(frame).array());
        }
      } catch (final IOException e) {
        // One end has closed, which closes the other.
      } catch (final InterruptedException e) {
        Thread.currentThread().interrupt();
      } finally {
        close();
      }
    }

    private boolean passRequest(final byte[] frame) throws InterruptedException {
      final ByteBuffer header = ByteBuffer.wrap(frame);
      final short api = header.getShort();
      header.getShort();
      final int correlation = header.getInt();
      final byte[] id = new byte[Math.max(0, header.getShort())];
      header.get(id);
      name = new String(id, StandardCharsets.UTF_8);
      for (final NetworkRule rule : rules) {
        if (rule instanceof NetworkRule.LoseEndTxn lose
            && api == END_TXN
            && lose.where().matches(broker, name)
            && lose.left().getAndDecrement() > 0) {
          if (!lose.delivered()) {
            return false;
          }
          unanswered.add(correlation);
        }
      }
      return passAny();
    }

    private boolean passAnswer(final byte[] frame) throws InterruptedException {
      return !unanswered.contains(ByteBuffer.wrap(frame).getInt()) && passAny();
    }

    private boolean passAny() throws InterruptedException {
      for (final NetworkRule rule : rules) {
        if (!rule.where().matches(broker, name)) {
          continue;
        }
        switch (rule) {
          case NetworkRule.Delay delay -> Thread.sleep(delay.by());
          case NetworkRule.Drop drop -> {
            return false;
          }
          case NetworkRule.Blackhole blackhole -> {
            while (rules.contains(blackhole) && !client.isClosed()) {
              Thread.sleep(50);
            }
          }
          case NetworkRule.LoseEndTxn lose -> {}
        }
      }
      return true;
    }

    private void close() {
      links.remove(this);
      WireProxy.close(client);
      WireProxy.close(toBroker);
    }
  }
}
