// The shared behaviours (behaviours.toml) by the official JavaScript SDK. Prints one JSON object: name -> "" or what went wrong.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The packages are installed in a cache, not beside this file: run.mjs PACKAGES
const require = createRequire(pathToFileURL(`${process.argv[2]}/package.json`));
const { default: OpenAI } = await import(pathToFileURL(require.resolve("openai")));

const { APP_BASE_URL: baseURL, APP_KEY: apiKey, APP_MODEL: model } = process.env;
const options = { baseURL, apiKey, maxRetries: 0, timeout: 120_000 };
const client = new OpenAI(options);

const QUESTION = "A pupil says that 47 + 38 = 75. What went wrong?";
const messages = [{ role: "user", content: QUESTION }];
const asked = { model: "gpt-4o", messages, max_tokens: 16 };
const schema = {
  type: "object",
  properties: { correct: { type: "boolean" }, error_type: { enum: ["carry", "place value", "sign"] } },
  required: ["correct", "error_type"],
  additionalProperties: false,
};
const fits = (text) => {
  const verdict = JSON.parse(text);
  assert.equal(typeof verdict.correct, "boolean");
  assert.ok(schema.properties.error_type.enum.includes(verdict.error_type));
};
const fails = async (work, kind, wanted) => {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof kind, `${error?.constructor?.name} is not ${kind.name}`);
    for (const [field, value] of Object.entries(wanted)) {
      assert.match(String(error[field]), value);
    }
    return true;
  });
};

const behaviours = {
  async whole_answer() {
    const answer = await client.chat.completions.create(asked);
    assert.equal(answer.model, model);
    assert.ok(answer.choices[0].message.content);
    assert.ok(answer.usage.completion_tokens >= 1);
  },
  async streamed_answer() {
    const whole = await client.chat.completions.create({ ...asked, temperature: 0 });
    const stream = await client.chat.completions.create({
      ...asked,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(usage.total_tokens, whole.usage.total_tokens);
  },
  async json_schema() {
    const answer = await client.chat.completions.create({
      ...asked,
      max_tokens: 64,
      response_format: { type: "json_schema", json_schema: { name: "verdict", schema, strict: true } },
    });
    fits(answer.choices[0].message.content);
  },
  async logprobs() {
    const answer = await client.chat.completions.create({ ...asked, logprobs: true, top_logprobs: 2 });
    assert.equal(answer.choices[0].logprobs.content.length, answer.usage.completion_tokens);
  },
  async seed() {
    const [first, second] = await Promise.all(
      [0, 1].map(() => client.chat.completions.create({ ...asked, temperature: 1, seed: 7 })),
    );
    assert.equal(first.choices[0].message.content, second.choices[0].message.content);
  },
  async tool_messages() {
    const call = { id: "c1", type: "function", function: { name: "look_up", arguments: "{}" } };
    const answer = await client.chat.completions.create({
      ...asked,
      messages: [
        ...messages,
        { role: "assistant", tool_calls: [call] },
        { role: "tool", tool_call_id: "c1", content: "carry" },
      ],
    });
    assert.equal(answer.choices[0].message.role, "assistant");
  },
  async tools_refused() {
    const tool = { type: "function", function: { name: "look_up", parameters: { type: "object", properties: {} } } };
    await fails(() => client.chat.completions.create({ ...asked, tools: [tool] }), OpenAI.BadRequestError, {
      message: /cannot call tools/,
    });
  },
  async responses_whole() {
    const response = await client.responses.create({ model: "gpt-4o", input: QUESTION, max_output_tokens: 16 });
    assert.equal(response.model, model);
    assert.ok(response.output_text);
    assert.ok(response.usage.output_tokens >= 1);
  },
  async responses_streamed() {
    const request = { model: "gpt-4o", input: QUESTION, max_output_tokens: 16, temperature: 0 };
    const whole = await client.responses.create(request);
    let text = "";
    const stream = client.responses.stream(request);
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    assert.equal(text, whole.output_text);
    assert.equal((await stream.finalResponse()).output[0].content[0].text, whole.output_text);
  },
  async responses_json_schema() {
    const response = await client.responses.create({
      model: "gpt-4o",
      input: QUESTION,
      max_output_tokens: 64,
      text: { format: { type: "json_schema", name: "verdict", schema, strict: true } },
    });
    fits(response.output_text);
  },
  async responses_history() {
    const first = await client.responses.create({ model: "gpt-4o", input: messages, max_output_tokens: 8 });
    const input = [...messages, ...first.output, ...messages];
    const second = await client.responses.create({ model: "gpt-4o", input, max_output_tokens: 8 });
    assert.ok(second.usage.input_tokens > first.usage.input_tokens);
  },
  async responses_store_refused() {
    await fails(
      () => client.responses.create({ model: "gpt-4o", input: "x", previous_response_id: "resp_1" }),
      OpenAI.BadRequestError,
      { message: /keeps no conversation/, code: /^refused_field$/ },
    );
  },
  async left_stream() {
    const stream = await client.chat.completions.create({ ...asked, max_tokens: 512, stream: true });
    for await (const _ of stream) break;
    await behaviours.whole_answer();
  },
  async embeddings_not_found() {
    await fails(
      () => client.embeddings.create({ model: "text-embedding-3-small", input: "x" }),
      OpenAI.NotFoundError,
      { message: /No embedding bundle/ },
    );
  },
  async unknown_model() {
    await fails(() => client.chat.completions.create({ ...asked, model: "gpt-9" }), OpenAI.NotFoundError, {
      code: /^model_not_found$/,
    });
  },
  async wrong_key() {
    const stranger = new OpenAI({ ...options, apiKey: "sk-wrong" });
    await fails(() => stranger.chat.completions.create(asked), OpenAI.AuthenticationError, {
      code: /^invalid_api_key$/,
    });
  },
  async refused_field() {
    await fails(() => client.chat.completions.create({ ...asked, guided_regex: "a" }), OpenAI.BadRequestError, {
      param: /^guided_regex$/,
    });
  },
  async models() {
    assert.equal((await client.models.list()).data[0].id, model);
  },
};

const results = {};
for (const [name, behaviour] of Object.entries(behaviours)) {
  try {
    await behaviour();
    results[name] = "";
  } catch (error) {
    results[name] = `${error?.name}: ${error?.message}`;
  }
}
console.log(JSON.stringify(results));
