// SPDX-License-Identifier: Apache-2.0

/**
 * Conversations as a model wants to read them: messages in OpenAI's shape, and the chat template of
 * a model's file, which makes a text of them.
 */
package dev.tokamak.model.chat;
