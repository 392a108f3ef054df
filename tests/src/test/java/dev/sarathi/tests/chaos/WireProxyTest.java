package dev.sarathi.tests.chaos;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Before a server that answers every request with its correlation id. */
class WireProxyTest {
  private static final short METADATA = 3;

  private final List<NetworkRule> rules = new CopyOnWriteArrayList<>();
  private final AtomicInteger requests = new AtomicInteger();
  private ServerSocket server;
  private WireProxy proxy;
  private int port;

  @BeforeEach
  void start() throws IOException {
    server = new ServerSocket(0, 10, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().start(this::serve);
    port = Ports.free();
    proxy = new WireProxy(1, port, server.getLocalPort(), rules);
  }

  @AfterEach
  void stop() throws IOException {
    proxy.close();
    server.close();
  }

  private void serve() {
    while (!server.isClosed()) {
      try {
        final Socket socket = server.accept();
        Thread.ofVirtual().start(() -> answer(socket));
      } catch (final IOException e) {
        // The test is over.
      }
    }
  }

  private void answer(final Socket socket) {
    try (socket) {
      final DataInputStream in = new DataInputStream(socket.getInputStream());
      final DataOutputStream out = new DataOutputStream(socket.getOutputStream());
      while (true) {
        final byte[] frame = in.readNBytes(in.readInt());
        requests.incrementAndGet();
        out.writeInt(4);
        out.writeInt(ByteBuffer.wrap(frame).getInt(4));
      }
    } catch (final IOException e) {
      // The client has gone.
    }
  }

  @Test
  void shouldPassFramesOn() throws IOException {
    try (Client client = new Client("instance-1-producer")) {
      assertThat(client.ask(METADATA, 11)).isEqualTo(11);
      assertThat(client.ask(WireProxy.END_TXN, 12)).isEqualTo(12);
    }
  }

  @Test
  void shouldDelayBothDirections() throws IOException {
    rules.add(new NetworkRule.Delay(NetworkRule.Where.EVERYWHERE, Duration.ofMillis(150)));
    try (Client client = new Client("instance-1")) {
      final long start = System.nanoTime();
      client.ask(METADATA, 11);
      assertThat(Duration.ofNanos(System.nanoTime() - start))
          .isGreaterThanOrEqualTo(Duration.ofMillis(300));
    }
  }

  @Test
  void shouldHoldWhatAnInstanceSendsUntilTheBlackholeIsGone() throws IOException {
    final NetworkRule rule = new NetworkRule.Blackhole(new NetworkRule.Where(0, "instance-1"));
    rules.add(rule);
    try (Client client = new Client("instance-1-producer");
        Client other = new Client("instance-2-producer")) {
      assertThat(other.ask(METADATA, 5)).isEqualTo(5);
      client.send(METADATA, 11);
      client.socket.setSoTimeout(300);
      assertThatThrownBy(client::receive).isInstanceOf(SocketTimeoutException.class);
      assertThat(requests).hasValue(1);

      rules.remove(rule);
      client.socket.setSoTimeout(5_000);
      assertThat(client.receive()).isEqualTo(11);
    }
  }

  @Test
  void shouldDropConnections() throws IOException {
    rules.add(new NetworkRule.Drop(new NetworkRule.Where(1, "")));
    try (Client client = new Client("instance-1")) {
      assertThatThrownBy(() -> client.ask(METADATA, 11)).isInstanceOf(IOException.class);
      assertThat(requests).hasValue(0);
    }
  }

  @Test
  void shouldCutTheConnectionsOfOneClient() throws IOException {
    try (Client client = new Client("instance-1");
        Client other = new Client("instance-2")) {
      client.ask(METADATA, 1);
      other.ask(METADATA, 1);
      proxy.cut(new NetworkRule.Drop(new NetworkRule.Where(1, "instance-1")));
      assertThatThrownBy(() -> client.ask(METADATA, 2)).isInstanceOf(IOException.class);
      assertThat(other.ask(METADATA, 2)).isEqualTo(2);
    }
  }

  @Test
  void shouldLoseTheRequestToEndATransaction() throws IOException {
    rules.add(
        new NetworkRule.LoseEndTxn(NetworkRule.Where.EVERYWHERE, false, new AtomicInteger(1)));
    try (Client client = new Client("instance-1")) {
      assertThat(client.ask(METADATA, 1)).isEqualTo(1);
      assertThatThrownBy(() -> client.ask(WireProxy.END_TXN, 2)).isInstanceOf(IOException.class);
    }
    assertThat(requests).hasValue(1);
    try (Client client = new Client("instance-1")) {
      assertThat(client.ask(WireProxy.END_TXN, 3)).as("only one was to be lost").isEqualTo(3);
    }
  }

  @Test
  void shouldLoseTheAnswerAfterATransactionHasEnded() throws IOException {
    rules.add(new NetworkRule.LoseEndTxn(NetworkRule.Where.EVERYWHERE, true, new AtomicInteger(1)));
    try (Client client = new Client("instance-1")) {
      assertThatThrownBy(() -> client.ask(WireProxy.END_TXN, 2)).isInstanceOf(IOException.class);
    }
    assertThat(requests).hasValue(1);
  }

  private final class Client implements AutoCloseable {
    private final String id;
    private final Socket socket;

    private Client(final String id) throws IOException {
      this.id = id;
      this.socket = new Socket(InetAddress.getLoopbackAddress(), port);
      socket.setSoTimeout(5_000);
    }

    private int ask(final short api, final int correlation) throws IOException {
      send(api, correlation);
      return receive();
    }

    private void send(final short api, final int correlation) throws IOException {
      final byte[] name = id.getBytes(StandardCharsets.UTF_8);
      final ByteBuffer frame = ByteBuffer.allocate(4 + 10 + name.length);
      frame.putInt(10 + name.length).putShort(api).putShort((short) 1).putInt(correlation);
      frame.putShort((short) name.length).put(name);
      socket.getOutputStream().write(frame.array());
    }

    private int receive() throws IOException {
      final DataInputStream in = new DataInputStream(socket.getInputStream());
      in.readInt();
      return in.readInt();
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }
}
