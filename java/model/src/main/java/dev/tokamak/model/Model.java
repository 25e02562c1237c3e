// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Limits;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.model.family.Families;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;

/**
 * An open model: its file, its tokenizer, and its weights made ready for one backend. Any number of
 * {@link Inference}s may share it, each in its own thread. Closing it closes those that are still
 * open.
 */
public final class Model implements AutoCloseable {
  private final Optional<ModelFile> file;
  private final Metadata metadata;
  private final Arena arena;
  private final Architecture architecture;
  private final Tokenizer tokenizer;
  private final Transformer transformer;
  private final Optional<String> loraSha256;
  private final Backends.Choice choice;
  private final Backend.Weights weights;
  private final long parameters;
  private final double loadSeconds;
  private final Set<Inference> inferences = ConcurrentHashMap.newKeySet();
  private boolean closed;

  /**
   * A model of some tensors; closing it closes the file and the arena, which they lie in.
   *
   * @param start of the loading, in nanoseconds
   */
  private Model(
      Optional<ModelFile> file,
      Arena arena,
      Metadata metadata,
      Architecture architecture,
      Transformer transformer,
      Optional<String> loraSha256,
      long parameters,
      ModelOptions options,
      long start) {
    this.file = file;
    this.arena = arena;
    this.metadata = metadata;
    this.architecture = architecture;
    this.transformer = transformer;
    this.loraSha256 = loraSha256;
    this.parameters = parameters;
    // A vocabulary of 100,000 tokens takes one thread as long as some hundred megabytes of weights.
    CompletableFuture<Tokenizer> reading =
        CompletableFuture.supplyAsync(
            () -> tokenizer(metadata, architecture),
            task -> Thread.ofPlatform().daemon().name("tokenizer").start(task));
    try {
      choice = Backends.open(options.backend(), transformer.weights());
      try {
        weights = choice.backend().load(transformer.matrices(), options.progress());
        try {
          tokenizer = join(reading);
        } catch (RuntimeException | Error e) {
          weights.close();
          throw e;
        }
      } catch (RuntimeException | Error e) {
        choice.backend().close();
        throw e;
      }
    } finally {
      reading.exceptionally(_ -> null).join(); // it reads the file, which closes after a failure
    }
    loadSeconds = (System.nanoTime() - start) / 1e9;
  }

  private static Tokenizer tokenizer(Metadata metadata, Architecture architecture) {
    Tokenizer tokenizer = Tokenizer.of(metadata);
    if (tokenizer.vocabularySize() > architecture.vocabulary()) {
      throw FormatException.at(
          metadata.source(),
          "tensor token_embd.weight",
          "expected a row for each of " + tokenizer.vocabularySize() + " tokens, found "
              + architecture.vocabulary());
    }
    return tokenizer;
  }

  /** The tokenizer, or what went wrong. */
  private static Tokenizer join(CompletableFuture<Tokenizer> reading) {
    try {
      return reading.join();
    } catch (CompletionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        default -> throw e;
      }
    }
  }

  /** Opens a GGUF file on the best backend of this machine. */
  public static Model open(Path path) {
    return open(path, ModelOptions.defaults());
  }

  /**
   * Opens a GGUF file.
   *
   * @throws FormatException if it is not a sound file of a model that the
   *     engine runs
   * @throws dev.tokamak.backend.BackendException if the backend asked for is not there
   */
  public static Model open(Path path, ModelOptions options) {
    long start = System.nanoTime();
    ModelFile file = ModelFile.open(path);
    Arena arena = Arena.ofShared();
    try {
      Architecture architecture = Families.of(file).architecture(file);
      Transformer transformer = new Transformer(architecture, file);
      Optional<String> lora = Optional.empty();
      if (options.lora().isPresent()) {
        try (LoraFile adapters = LoraFile.open(options.lora().get())) {
          lora = Optional.of(adapters.sha256());
          transformer =
              transformer.with(
                  adapters.adapters(architecture.family(), transformer.named(), arena));
        }
      }
      return new Model(
          Optional.of(file),
          arena,
          file.metadata(),
          architecture,
          transformer,
          lora,
          file.gguf().tensors().stream().mapToLong(tensor -> tensor.elements()).sum(),
          options,
          start);
    } catch (RuntimeException | Error e) {
      arena.close();
      file.close();
      throw e;
    }
  }

  /**
   * A copy in memory of a model in training, as it is now, with its adapters merged, in F32.
   *
   * @param more keys beside those of the architecture: the tokenizer's
   */
  public static Model of(
      TrainingModel model, WeightArray weights, Metadata more, ModelOptions options) {
    long start = System.nanoTime();
    Arena arena = Arena.ofShared();
    try {
      return new Model(
          Optional.empty(),
          arena,
          Families.metadata(model.architecture()).with(more),
          model.architecture(),
          new Transformer(model.architecture(), new ModelWriter(model, weights).source(arena)),
          Optional.empty(),
          model.parameters().list().stream()
              .filter(p -> !TrainingModel.isAdapter(p))
              .mapToLong(Parameter::size)
              .sum(),
          options,
          start);
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  public Architecture architecture() {
    return architecture;
  }

  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /**
   * The file that it was opened from.
   *
   * @throws IllegalStateException if it was made in memory
   */
  public ModelFile file() {
    return file.orElseThrow(() -> new IllegalStateException("a model in memory has no file"));
  }

  public Metadata metadata() {
    return metadata;
  }

  /** SHA-256 of the file of adapters, in hexadecimal, if it has any. */
  public Optional<String> loraSha256() {
    return loraSha256;
  }

  /** The backend, and why it was chosen. */
  public Backends.Choice backend() {
    return choice;
  }

  /** Seconds from the open file to weights made ready. */
  public double loadSeconds() {
    return loadSeconds;
  }

  /**
   * The cache type used unless told otherwise: F32 for models stored in F32 or BF16, whose keys may
   * exceed what F16 holds; F16 for all others.
   */
  public QuantType defaultCacheType() {
    QuantType stored = transformer.matrices().getFirst().type();
    return stored == QuantType.F32 || stored == QuantType.BF16 ? QuantType.F32 : QuantType.F16;
  }

  /** Weights in all, those of embeddings and norms included. */
  public long parameters() {
    return parameters;
  }

  /** Bytes of weights that one decoded token reads: every matrix once. */
  public long bytesPerToken() {
    return transformer.matrices().stream().mapToLong(m -> m.data().byteSize()).sum();
  }

  /** Multiplications and additions of one prompt token's matmuls, the output head left out. */
  public long operationsPerToken() {
    return transformer.matrices().stream()
        .limit(transformer.matrices().size() - 1L)
        .mapToLong((Tensor m) -> 2 * m.rows() * m.cols())
        .sum();
  }

  /**
   * Makes the model ready to run, with all memory that it needs.
   *
   * @throws dev.tokamak.backend.BackendException if there is not enough memory
   * @throws IllegalStateException if the model is closed
   */
  public synchronized Inference prepare(Inference.Shape shape) {
    if (closed) {
      throw new IllegalStateException("closed: the model");
    }
    CacheShape cache =
        new CacheShape(
            shape.cacheType(),
            architecture.layers(),
            architecture.kvHeads(),
            architecture.headDim());
    int pages = KvCache.pagesFor(shape.context());
    Limits limits =
        new Limits(
            shape.rows(),
            shape.outputs(),
            shape.sequences(),
            pages,
            Math.multiplyExact(pages, shape.sequences()));
    Arena arena = Arena.ofShared();
    try {
      Program program = transformer.record(cache, pages * CacheShape.PAGE_TOKENS, arena);
      Inference inference =
          new Inference(
              shape,
              architecture.vocabulary(),
              arena,
              choice.backend().prepare(program, weights, limits),
              inferences::remove);
      inferences.add(inference);
      return inference;
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  /** Frees everything; does nothing if that is done. Waits for steps that run. */
  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      inferences.forEach(Inference::close);
      weights.close();
      choice.backend().close();
      arena.close();
      file.ifPresent(ModelFile::close);
    }
  }
}
