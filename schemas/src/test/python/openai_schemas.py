"""Writes the JSON schemas of OpenAI's response types, as their Python client (Apache-2.0) has them.

    pip install openai
    python openai_schemas.py

The client takes fields that it does not know. Here they are refused, so that a field of another name
shows. The line around a response has no type in the client; its schema is written down from the
reference of the Batch API (https://platform.openai.com/docs/api-reference/batch/request-output).
"""

import json
import pathlib

import openai
from openai.types import BatchError, Completion
from openai.types.chat import ChatCompletion

RESOURCES = pathlib.Path(__file__).parent.parent / "resources/dev/sarathi/schemas/batch"


def closed(schema):
    """The schema without prose, and with no fields but those that it names."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: {name: closed(value) for name, value in content.items()}
        if key in ("properties", "$defs")
        else closed(content)
        for key, content in schema.items()
        if key not in ("title", "description", "default")
    }
    if "properties" in made:
        made["additionalProperties"] = False
    return made


def body(model):
    schema = closed(model.model_json_schema())
    return schema, schema.pop("$defs", {})


def main():
    chat, chat_parts = body(ChatCompletion)
    text, text_parts = body(Completion)
    error, error_parts = body(BatchError)
    for name in chat_parts.keys() & text_parts.keys():
        assert chat_parts[name] == text_parts[name], name
    line = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"From openai-python {openai.__version__} (Apache-2.0) by openai_schemas.py",
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "custom_id": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "response": {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {
                            "status_code": {"type": "integer"},
                            "request_id": {"type": "string"},
                            "body": {
                                "oneOf": [
                                    {"$ref": "#/$defs/ChatCompletion"},
                                    {"$ref": "#/$defs/TextCompletion"},
                                ]
                            },
                        },
                        "required": ["status_code", "request_id", "body"],
                        "additionalProperties": False,
                    },
                    {"type": "null"},
                ]
            },
            "error": {"anyOf": [{"$ref": "#/$defs/BatchError"}, {"type": "null"}]},
        },
        "required": ["id", "custom_id", "response", "error"],
        "additionalProperties": False,
        "$defs": {
            "ChatCompletion": chat,
            "TextCompletion": text,
            "BatchError": error,
            **chat_parts,
            **text_parts,
            **error_parts,
        },
    }
    file = RESOURCES / "openai-result-line.schema.json"
    file.write_text(json.dumps(line, indent=1) + "\n")


if __name__ == "__main__":
    main()
