// SPDX-License-Identifier: Apache-2.0

/** Model files, tokenizers and the one transformer. */
module dev.tokamak.model {
  requires transitive dev.tokamak.backend;
  requires tools.jackson.core;

  exports dev.tokamak.model;
  exports dev.tokamak.model.chat;
  // What the engine makes of a file, without opening it as a model.
  exports dev.tokamak.model.family;
  exports dev.tokamak.model.format;
  exports dev.tokamak.model.format.gguf;
  exports dev.tokamak.model.format.safetensors;
  exports dev.tokamak.model.jinja;
  exports dev.tokamak.model.tokenizer;
}
