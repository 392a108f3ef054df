/** What an operator does to a running application: cancel a request, put dead letters back. */
package dev.sarathi.streams.admin;
