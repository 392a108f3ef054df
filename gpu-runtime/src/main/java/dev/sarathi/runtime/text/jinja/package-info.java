/**
 * The part of the Jinja 2 template language in which chat templates are written, with the semantics
 * of Jinja as Hugging Face's transformers sets it up. What is not part of it is refused when a
 * template is parsed; nothing is rendered in another way than there.
 *
 * <p>A template comes with a model and may be hostile. It reaches no Java object but the strings,
 * numbers, lists and maps that it is given, and every rendering has a budget of work and of memory.
 */
package dev.sarathi.runtime.text.jinja;
