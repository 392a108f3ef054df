/**
 * Models as Hugging Face publishes them: configuration, weights and their fingerprint, checked
 * before anything is computed. Everything that a file says is doubted; every refusal is a {@link
 * dev.sarathi.runtime.model.ModelFormatException} that names the file and the place in it.
 */
package dev.sarathi.runtime.model;
