/**
 * What people copy: topologies of one screen each, with text generation as one of their nodes. Here
 * is what surrounds them.
 */
package dev.sarathi.examples;
