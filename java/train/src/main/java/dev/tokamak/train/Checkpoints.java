// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.Parameters;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingReplay.State;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.safetensors.SafetensorsFile;
import dev.tokamak.model.format.safetensors.SafetensorsType;
import dev.tokamak.model.format.safetensors.SafetensorsWriter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The folder of a training's checkpoints. Each is a folder of its own, such as {@code step-000050}:
 *
 * <pre>
 * weights.safetensors    the trained parameters, F32, by their names; its metadata has the step and
 *                        every setting that the result depends on
 * optimizer.safetensors  NAME.first_moment, NAME.second_moment of each of them, F32
 * checksums              SHA-256 of both, a line each, as sha256sum writes and checks them
 * </pre>
 *
 * Nothing else changes from step to step: examples and random numbers follow from the seed and the
 * step. A checkpoint is written under another name, brought to the disk, and renamed, so that one
 * with its own name is whole whenever the process dies. One training at a time uses a folder.
 */
public final class Checkpoints implements AutoCloseable {
  static final String WEIGHTS = "weights.safetensors";
  static final String OPTIMIZER = "optimizer.safetensors";
  private static final String CHECKSUMS = "checksums";
  private static final String LOCK = "lock";
  private static final String PART = ".part";
  private static final String STEP_KEY = "step";
  private static final String DATA = "data";
  private static final String BEFORE = "before-";
  private static final String DAMAGED = ".damaged";
  private static final Pattern NAME = Pattern.compile("step-(\\d{6,18})");

  private static final Pattern HALF = Pattern.compile(NAME + Pattern.quote(PART));

  /** All that is a training's own; shards of its data serve the next too. */
  private static final Pattern OWN =
      Pattern.compile(NAME + "(" + Pattern.quote(DAMAGED) + ")?|metrics\\.jsonl|report\\.html");

  private final Path folder;
  private final int keep;
  private Map<String, String> settings = Map.of();
  private boolean anew;
  private final boolean made;
  private final FileChannel lock;

  /**
   * The folder of a configuration, where its training begins or goes on.
   *
   * @param resume whether it goes on from the checkpoints that are there; if not, {@link #resume}
   *     moves an earlier training into a folder of its own below, and nothing of it is lost
   * @throws TrainException if it cannot be used
   */
  public static Checkpoints of(TrainConfig config, boolean resume) {
    Map<String, String> settings = Settings.of(config);
    var checkpoints = new Checkpoints(config.checkpoint().dir(), config.checkpoint().keep());
    checkpoints.require(settings);
    checkpoints.anew = !resume;
    return checkpoints;
  }

  private Path setAside() throws IOException {
    int number = 1;
    while (Files.exists(folder.resolve(BEFORE + number))) {
      number++;
    }
    Path aside = Files.createDirectory(folder.resolve(BEFORE + number));
    for (Path path : list(name -> OWN.matcher(name).matches())) {
      Files.move(path, aside.resolve(path.getFileName()));
    }
    return aside;
  }

  /**
   * Takes a folder, made if it is not there, and removes what a process that died left half
   * written.
   *
   * @param keep how many checkpoints are kept, the newest
   * @throws TrainException if it cannot be written, or another training uses it
   */
  Checkpoints(Path folder, int keep) {
    this.folder = folder;
    this.keep = keep;
    made = !Files.exists(folder);
    try {
      Files.createDirectories(folder);
      lock =
          FileChannel.open(
              folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    } catch (IOException e) {
      throw new TrainException("checkpoint.dir: " + folder + ": " + reason(e), e);
    }
    try {
      if (!locked()) {
        throw new TrainException(
            "checkpoint.dir: " + folder + ": another training uses it; wait for it or use another");
      }
      for (Path part : list(name -> HALF.matcher(name).matches())) {
        delete(part);
      }
    } catch (IOException e) {
      close();
      throw new TrainException("checkpoint.dir: " + folder + ": " + reason(e), e);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Takes what the result depends on: a checkpoint that was made with other values is refused. */
  void require(Map<String, String> values) {
    settings = Map.copyOf(values);
  }

  /** Whether this process, and no other training in it, holds the folder now. */
  private boolean locked() throws IOException {
    try {
      FileLock held = lock.tryLock();
      return held != null;
    } catch (OverlappingFileLockException _) {
      return false;
    }
  }

  /** Steps of the checkpoints that are there, whole or not, the newest first. */
  List<Long> steps() {
    try {
      TreeSet<Long> steps = new TreeSet<>(Comparator.reverseOrder());
      for (Path path : list(name -> NAME.matcher(name).matches())) {
        steps.add(Long.parseLong(path.getFileName().toString().substring("step-".length())));
      }
      return List.copyOf(steps);
    } catch (IOException e) {
      throw new TrainException("checkpoint.dir: " + folder + ": " + reason(e), e);
    }
  }

  /** The folder of a step's checkpoint. */
  Path path(long step) {
    return folder.resolve(String.format(Locale.ROOT, "step-%06d", step));
  }

  /**
   * Writes a checkpoint and removes those that are too many.
   *
   * @param step done so far
   * @throws TrainException if it cannot be written; those before it stand
   */
  Path save(long step, Parameters parameters, TrainingReplay replay) {
    Path path = path(step);
    Path part = path.resolveSibling(path.getFileName() + PART);
    Optional<Long> before = steps().stream().filter(s -> s != step).findFirst();
    try {
      try (Arena arena = Arena.ofConfined()) {
        var values = new Values(replay, buffer(parameters, arena));
        Files.createDirectory(part);
        write(part.resolve(WEIGHTS), weights(step, parameters, values));
        write(part.resolve(OPTIMIZER), moments(parameters, values));
        Files.writeString(
            part.resolve(CHECKSUMS), checksum(part, WEIGHTS) + checksum(part, OPTIMIZER));
        force(part.resolve(CHECKSUMS));
        force(part);
        delete(path);
        Files.move(part, path, StandardCopyOption.ATOMIC_MOVE);
        force(folder);
      } catch (IOException | RuntimeException | Error e) {
        delete(part);
        throw e;
      }
      removeOld();
    } catch (IOException e) {
      throw new TrainException(
          "checkpoint " + path + ": cannot be written: " + reason(e)
              + before.map(s -> "; " + path(s).getFileName() + " stands").orElse(""),
          e);
    }
    return path;
  }

  /**
   * Goes on from the newest whole checkpoint, or, of a training that begins anew, moves those that
   * are there out of its way. It is called when all else is known to be good.
   *
   * @param warn hears what became of checkpoints, a line each; newer ones that are not whole get
   *     another name
   * @return the steps done, or empty if the training begins
   * @throws TrainException if none is whole, or it belongs to other settings
   */
  Optional<Long> resume(Parameters parameters, TrainingReplay replay, Consumer<String> warn) {
    try {
      return anew ? begin(warn) : newest(parameters, replay, warn);
    } catch (IOException e) {
      throw new TrainException("checkpoint.dir: " + folder + ": " + reason(e), e);
    }
  }

  private Optional<Long> begin(Consumer<String> warn) throws IOException {
    if (!steps().isEmpty()) {
      warn.accept(
          "starting anew, for there is no --resume; the training that was in " + folder
              + " is in " + setAside() + " now");
    }
    return Optional.empty();
  }

  private Optional<Long> newest(
      Parameters parameters, TrainingReplay replay, Consumer<String> warn) throws IOException {
    Map<Long, String> damaged = new LinkedHashMap<>();
    for (long step : steps()) {
      try {
        checkSums(path(step));
        read(step, parameters, replay);
      } catch (FormatException e) {
        damaged.put(step, e.getMessage());
        continue;
      }
      for (var each : damaged.entrySet()) {
        Path moved = putAway(path(each.getKey()));
        warn.accept(
            path(each.getKey()) + " is damaged, so " + path(step).getFileName()
                + " is used; it is " + moved.getFileName() + " now: " + each.getValue());
      }
      return Optional.of(step);
    }
    if (!damaged.isEmpty()) {
      throw new TrainException(
          "checkpoint.dir: " + folder + ": no checkpoint in it is whole; without --resume the"
              + " training starts anew: " + damaged.values().iterator().next());
    }
    warn.accept("no checkpoint in " + folder + ": beginning at step 1");
    return Optional.empty();
  }

  /** Gives a damaged checkpoint a name under which nobody takes it for one that stands. */
  private static Path putAway(Path checkpoint) throws IOException {
    Path away = checkpoint.resolveSibling(checkpoint.getFileName() + DAMAGED);
    delete(away);
    return Files.move(checkpoint, away);
  }

  /** Reads one parameter's values after the other into the same memory. */
  private record Values(TrainingReplay replay, MemorySegment buffer) {
    MemorySegment of(Parameter p, State state) {
      MemorySegment values = buffer.asSlice(0, p.size() * Float.BYTES);
      replay.read(state, p.offset(), values);
      return values;
    }
  }

  private static MemorySegment buffer(Parameters parameters, Arena arena) {
    long longest = parameters.trainable().stream().mapToLong(Parameter::size).max().orElse(0);
    return arena.allocate(JAVA_FLOAT, longest);
  }

  private SafetensorsWriter weights(long step, Parameters parameters, Values values) {
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put(STEP_KEY, Long.toString(step));
    settings.keySet().stream().sorted().forEach(key -> metadata.put(key, settings.get(key)));
    var writer = new SafetensorsWriter(metadata);
    for (Parameter p : parameters.trainable()) {
      add(writer, p.name(), p, State.WEIGHTS, values);
    }
    return writer;
  }

  private static SafetensorsWriter moments(Parameters parameters, Values values) {
    var writer = new SafetensorsWriter(Map.of());
    for (Parameter p : parameters.trainable()) {
      add(writer, momentName(p, State.FIRST_MOMENT), p, State.FIRST_MOMENT, values);
      add(writer, momentName(p, State.SECOND_MOMENT), p, State.SECOND_MOMENT, values);
    }
    return writer;
  }

  private static String momentName(Parameter p, State state) {
    return p.name() + "." + state.name().toLowerCase(Locale.ROOT);
  }

  private static void add(
      SafetensorsWriter writer, String name, Parameter p, State state, Values values) {
    writer.add(name, SafetensorsType.F32, shape(p), () -> values.of(p, state));
  }

  private static List<Long> shape(Parameter p) {
    return List.of((long) p.rows(), (long) p.cols());
  }

  /** Reads both files; checks all of them before anything is changed. */
  private void read(long step, Parameters parameters, TrainingReplay replay) {
    try (var weights = SafetensorsFile.open(path(step).resolve(WEIGHTS));
        var optimizer = SafetensorsFile.open(path(step).resolve(OPTIMIZER))) {
      if (!weights.metadata().getOrDefault(STEP_KEY, "").equals(Long.toString(step))) {
        throw FormatException.at(
            weights.source(), STEP_KEY, "expected " + step + ", as its folder is named");
      }
      checkSettings(step, weights.metadata());
      List<Parameter> trained = parameters.trainable();
      for (boolean change : new boolean[] {false, true}) {
        for (Parameter p : trained) {
          read(weights, p.name(), p, State.WEIGHTS, replay, change);
          for (State moment : List.of(State.FIRST_MOMENT, State.SECOND_MOMENT)) {
            read(optimizer, momentName(p, moment), p, moment, replay, change);
          }
        }
      }
    }
  }

  private static void read(
      SafetensorsFile file,
      String name,
      Parameter p,
      State state,
      TrainingReplay replay,
      boolean change) {
    MemorySegment values = file.require(name, SafetensorsType.F32, shape(p));
    if (change) {
      replay.write(state, p.offset(), values);
    }
  }

  private void checkSettings(long step, Map<String, String> stored) {
    TreeSet<String> keys = new TreeSet<>(settings.keySet());
    keys.addAll(stored.keySet());
    keys.remove(STEP_KEY);
    for (String key : keys) {
      String then = stored.getOrDefault(key, "none");
      String now = settings.getOrDefault(key, "none");
      if (!then.equals(now)) {
        throw new TrainException(
            key + ": " + path(step) + " was made with " + then + ", now it is " + now
                + "; change it back, or use another checkpoint.dir");
      }
    }
  }

  private void removeOld() throws IOException {
    List<Long> steps = steps();
    for (long step : steps.subList(Math.min(keep, steps.size()), steps.size())) {
      // Renamed first: what is half removed must not look like a checkpoint.
      Path part = folder.resolve(path(step).getFileName() + PART);
      Files.move(path(step), part, StandardCopyOption.ATOMIC_MOVE);
      delete(part);
    }
  }

  private static void write(Path path, SafetensorsWriter writer) throws IOException {
    try (var channel =
        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      writer.write(channel);
      channel.force(true);
    }
  }

  /** Brings a file's bytes, or a folder's names, to the disk. */
  private static void force(Path path) throws IOException {
    try (var channel = FileChannel.open(path, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  private static String checksum(Path folder, String file) throws IOException {
    return Sha256.of(folder.resolve(file)) + "  " + file + "\n";
  }

  private static void checkSums(Path checkpoint) {
    try {
      String stored = Files.readString(checkpoint.resolve(CHECKSUMS));
      for (String file : List.of(WEIGHTS, OPTIMIZER)) {
        if (!stored.contains(checksum(checkpoint, file))) {
          throw new FormatException(file + ": its checksum is not the one in " + CHECKSUMS);
        }
      }
    } catch (IOException e) {
      throw new FormatException(reason(e), e);
    }
  }

  private List<Path> list(Predicate<String> name) throws IOException {
    try (Stream<Path> paths = Files.list(folder)) {
      return paths.filter(path -> name.test(path.getFileName().toString())).toList();
    }
  }

  private static void delete(Path path) throws IOException {
    if (Files.isDirectory(path)) {
      List<Path> inside;
      try (Stream<Path> paths = Files.list(path)) {
        inside = paths.toList();
      }
      for (Path each : inside) {
        delete(each);
      }
    }
    Files.deleteIfExists(path);
  }

  /** What an exception of the file system says, in words: some say no more than the file's name. */
  static String reason(IOException e) {
    return switch (e) {
      case NoSuchFileException missing ->
          Path.of(missing.getFile()).getFileName() + " is missing";
      case AccessDeniedException denied -> denied.getFile() + ": permission denied";
      case FileAlreadyExistsException file -> file.getFile() + " is no folder";
      case FileSystemException system when system.getReason() != null -> system.getReason();
      default -> String.valueOf(e.getMessage());
    };
  }

  /** Gives the folder free for others; one made for a training that never began is removed. */
  @Override
  public void close() {
    try (lock) {
      if (made && list(name -> !name.equals(LOCK) && !name.equals(DATA)).isEmpty()) {
        Files.deleteIfExists(folder.resolve(DATA)); // fails where it holds shards
        Files.delete(folder.resolve(LOCK));
        Files.delete(folder);
      }
    } catch (IOException _) {
      // Nothing was written to the lock; the process's end frees it at the latest.
    }
  }
}
