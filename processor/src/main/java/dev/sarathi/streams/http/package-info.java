/**
 * What an instance answers over HTTP: the state of its requests, the instances beside it, its
 * health, and a page that shows it at work. Without authentication, and therefore off unless told
 * where to listen; what does something is answered to pages of its own only.
 */
package dev.sarathi.streams.http;
