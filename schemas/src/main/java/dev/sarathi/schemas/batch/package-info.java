/**
 * OpenAI's batch format in terms of the data contracts: a {@link
 * dev.sarathi.schemas.batch.BatchFile} of lines, each a {@link dev.sarathi.schemas.PromptRequest}
 * or an error, and a {@link dev.sarathi.schemas.Completion} as a {@link
 * dev.sarathi.schemas.batch.ResultLine}.
 */
package dev.sarathi.schemas.batch;
