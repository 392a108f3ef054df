/**
 * Text that must have a form: grammars over bytes, and which tokens may follow by them. Knows
 * neither requests nor models, only the bytes of a vocabulary's tokens.
 */
package dev.sarathi.runtime.constrain;
