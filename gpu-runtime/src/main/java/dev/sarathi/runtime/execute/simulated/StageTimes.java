package dev.sarathi.runtime.execute.simulated;

import java.util.function.IntToDoubleFunction;

/**
 * How long a batch takes in each stage, composed as in Vidur (Agrawal et al., MLSys'24): linear
 * operators are shared by the whole batch, attention of decodes and of prefill add up, and tensor
 * parallelism sums up twice in each layer.
 */
final class StageTimes {
  /** Between the call and the GPUs' start. */
  private static final double ALL_REDUCE_LAUNCH = 0.02;

  /** Of sequences of different lengths in one kernel. */
  private static final double UNEVEN = 1.1;

  private static final int TOKEN_STEP = 8;
  private static final int BYTES = 2;

  private final Deployment deployment;
  private final double cpuMillis;
  private final AttentionTimes attention = AttentionTimes.measured();
  private final double decodeScale;
  private final double prefillScale;
  private final IntToDoubleFunction linear;
  private final IntToDoubleFunction allReduce;
  private final IntToDoubleFunction send;

  /**
   * @param cpuMillis what each stage spends on a batch beside the GPU's work
   */
  StageTimes(final Deployment deployment, final double cpuMillis) {
    this.deployment = deployment;
    this.cpuMillis = cpuMillis;
    final int gpus = deployment.tensorParallel();
    this.decodeScale =
        (double) deployment.kvHeads()
            * deployment.headSize()
            / gpus
            / AttentionTimes.KV_SIZE
            / deployment.decodeSpeed();
    this.prefillScale =
        (double) deployment.queryHeads()
            * deployment.headSize()
            / gpus
            / AttentionTimes.QUERY_SIZE
            / deployment.prefillSpeed();
    final Curve operators = Measurements.linear(deployment.gpu(), deployment.linear(), gpus);
    this.linear = tokens -> operators.at(tokens) * deployment.linearScale();
    final double tokenBytes = (double) deployment.hidden() * BYTES;
    if (gpus == 1) {
      this.allReduce = _ -> 0;
    } else {
      final Curve link = Measurements.allReduce(deployment.topology(), gpus);
      this.allReduce = tokens -> link.at(tokens * tokenBytes) + ALL_REDUCE_LAUNCH;
    }
    if (deployment.stages() == 1) {
      this.send = _ -> 0;
    } else {
      final Curve link = Measurements.sendReceive(deployment.topology());
      this.send = tokens -> link.at(tokens * tokenBytes);
    }
  }

  /** Of the GPUs and of the CPU, in milliseconds. */
  double millis(final Work work, final int stage) {
    final int tokens = Work.roundUp(work.tokens(), TOKEN_STEP);
    final double layer =
        linear.applyAsDouble(tokens)
            + decode(work)
            + prefill(work)
            + 2 * allReduce.applyAsDouble(tokens);
    final double passedOn = stage < deployment.stages() - 1 ? send.applyAsDouble(tokens) : 0;
    return layer * deployment.layers() / deployment.stages() + passedOn + cpuMillis;
  }

  private double decode(final Work work) {
    if (work.decodes() == 0) {
      return 0;
    }
    final int kvTokens =
        Work.roundUp(Math.ceilDiv(work.decodeKvTokens(), work.decodes()), Work.KV_STEP);
    return attention.decode(work.decodes(), kvTokens) * decodeScale * uneven(work.decodes());
  }

  private double prefill(final Work work) {
    if (work.chunks() == 0) {
      return 0;
    }
    return attention.prefill(Math.sqrt(work.chunkSquares()), Math.toIntExact(work.chunkKvTokens()))
        * prefillScale
        * uneven(work.chunks());
  }

  private static double uneven(final int sequences) {
    return sequences > 1 ? UNEVEN : 1;
  }
}
