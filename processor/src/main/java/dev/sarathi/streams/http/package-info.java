/**
 * What an instance answers over HTTP: the state of its requests, the instances beside it, its
 * health. Only reading; without authentication, and therefore off unless told where to listen.
 */
package dev.sarathi.streams.http;
