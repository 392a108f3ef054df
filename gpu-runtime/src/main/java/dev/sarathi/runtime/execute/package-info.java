/** The seam between policy and hardware, and what stands behind it. */
package dev.sarathi.runtime.execute;
