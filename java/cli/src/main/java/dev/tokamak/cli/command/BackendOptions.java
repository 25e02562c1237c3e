// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.cpu.CpuBackend;
import dev.tokamak.backend.machine.CpuList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** What the work runs on. */
@Command
final class BackendOptions {
  @Option(
      names = "--backend",
      paramLabel = "auto|cuda|cpu|reference",
      defaultValue = Backends.AUTO,
      converter = Name.class,
      description = "What computes; auto: the best that this machine has.")
  private String backend;

  @Option(
      names = "--threads",
      paramLabel = "N",
      converter = Whole.class,
      description = "Threads of the CPU backend; by default one for each core it may use.")
  private Integer threads;

  @Option(
      names = "--cpus",
      paramLabel = "LIST",
      converter = Cpus.class,
      description =
          "Processors such as 0,2-5 that the threads of the CPU backend stay on, one on each.")
  private CpuList cpus;

  @Option(
      names = "--cpu-level",
      paramLabel = "LEVEL",
      converter = Level.class,
      description = "Instruction-set level of the CPU backend; by default the best there is.")
  private String cpuLevel;

  @Option(names = "--mlock", description = "Keeps the weights from being swapped out.")
  private boolean lockMemory;

  Backends.Options options() {
    return new Backends.Options(
        backend,
        threads == null ? OptionalInt.empty() : OptionalInt.of(threads),
        Optional.ofNullable(cpus),
        Optional.ofNullable(cpuLevel),
        lockMemory);
  }

  private static final class Cpus implements ITypeConverter<CpuList> {
    @Override
    public CpuList convert(String value) {
      try {
        return CpuList.parse(value);
      } catch (BackendException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }

  private static final class Level implements ITypeConverter<String> {
    @Override
    public String convert(String value) {
      // Empty without the native library: then the backend says what is wrong.
      List<String> levels = CpuBackend.levels();
      if (!levels.isEmpty() && !levels.contains(value)) {
        throw new TypeConversionException(
            "expected " + String.join(", ", levels) + ", found '" + value + "'");
      }
      return value;
    }
  }

  private static final class Name implements ITypeConverter<String> {
    @Override
    public String convert(String value) {
      if (!value.equals(Backends.AUTO) && !Backends.names().contains(value)) {
        throw new TypeConversionException(
            "expected auto, " + String.join(", ", Backends.names()) + ", found '" + value + "'");
      }
      return value;
    }
  }
}
