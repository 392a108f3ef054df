package dev.sarathi.runtime.execute.cuda;

/**
 * A kernel and what it is started with.
 *
 * @param gridX blocks along x
 * @param gridY blocks along y, at most 65,535
 * @param threads of a block
 * @param sharedBytes dynamic shared memory of a block
 * @param arguments the kernel's parameters in order: {@link Long} for an address, {@link Integer}
 *     or {@link Float}
 */
public record Launch(
    String kernel, int gridX, int gridY, int threads, int sharedBytes, Object... arguments) {}
