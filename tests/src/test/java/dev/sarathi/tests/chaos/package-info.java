/**
 * The fault campaign: a replicated cluster and several applications in JVMs of their own, a load, a
 * nemesis that breaks things while they run, and a verifier that holds every answer against the
 * oracle.
 */
package dev.sarathi.tests.chaos;
