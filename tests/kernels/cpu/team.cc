// SPDX-License-Identifier: Apache-2.0
//
// The thread team: callers that share it, many short steps, a fork, wrong arguments.

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "machine.h"

namespace tokamak::tests {
namespace {

constexpr int width = 100, most_rows = 5;

/** x += y, again and again. */
struct Counter {
  explicit Counter(const Team& team) : tape(team, most_rows, 1), x(width * most_rows), y(x.size(), 1) {
    expect_status(tk_cpu_add(tape.handle, TK_ROWS_STEP, x.data(), y.data(), width), TK_OK, "add");
  }
  void count(int steps) {
    for (int i = 0; i < steps; i++) tape.step(most_rows, 0);
    expected += static_cast<float>(steps);
    for (float value : x) {
      if (value != expected) fail("counted %g of %g", static_cast<double>(value), static_cast<double>(expected));
    }
  }
  Tape tape;
  std::vector<float> x, y;
  float expected = 0;
};

void short_steps(int level, uint64_t) {
  for (int threads : {1, 2, 3, 7}) {
    const Team team(level, threads);
    Counter counter(team);
    counter.count(300);
  }
}

void sleeping_team(int level, uint64_t) {
  const Team team(level, 3);
  Counter counter(team);
  for (int i = 0; i < 20; i++) {
    usleep(500);  // long enough for the team to sleep
    counter.count(1);
  }
}

void many_callers(int level, uint64_t) {
  const Team one(level, 2), two(level, 3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; i++) {
    callers.emplace_back([&, i] {
      try {
        Counter counter(i % 2 == 0 ? one : two);
        counter.count(50);
      } catch (const Failure&) {
        wrong++;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  if (wrong != 0) fail("%d of 8 callers counted wrong", wrong.load());
}

void create_and_free(int level, uint64_t) {
  for (int i = 0; i < 30; i++) {
    const Team team(level, 1 + i % 4);
    Counter counter(team);
    if (i % 2 == 0) counter.count(1);
  }
}

void pinned(int level, uint64_t) {
  // Each thread takes the other's core away.
  const int32_t here[] = {0, 0};
  const Team team(level, 2, here);
  Counter counter(team);
  counter.count(300);
  const int32_t nowhere[] = {0, 1'000'000};
  if (tk_cpu_team_create(level, 2, nowhere) != nullptr) fail("pinned to processor 1000000");
  if (strstr(tk_last_error(), "1000000") == nullptr) fail("message: %s", tk_last_error());
}

void used_after_fork(int level, uint64_t) {
  const Team team(level, 2);
  Counter counter(team);
  counter.count(1);
  const pid_t child = fork();
  if (child == 0) {
    const bool refused = tk_cpu_step(counter.tape.handle, 1, 0) == TK_UNSUPPORTED;
    tk_cpu_team_free(team.handle);  // must not wait for threads that are not there
    _exit(refused ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail("the child ended with %d", status);
  counter.count(1);
}

void wrong_arguments(int level, uint64_t) {
  const int32_t negative[] = {-1};
  const struct {
    tk_team* team;
    const char* message;
  } made[] = {{tk_cpu_team_create(level, 0, nullptr), "threads=0"},
              {tk_cpu_team_create(level, 1, negative), "cpus[0]=-1"},
              {tk_cpu_team_create(-1, 1, nullptr), "level=-1"},
              {tk_cpu_team_create(99, 1, nullptr), "level=99"}};
  for (const auto& one : made) {
    if (one.team != nullptr) fail("a team with %s was made", one.message);
  }
  // each call leaves its own message
  tk_cpu_team_create(99, 1, nullptr);
  if (strstr(tk_last_error(), "level=99") == nullptr) fail("message: %s", tk_last_error());
  tk_cpu_team_free(nullptr);
}

}  // namespace

const std::vector<Scenario> team_scenarios = {{"team: short steps", short_steps},
                                              {"team: sleeping", sleeping_team},
                                              {"team: many callers", many_callers},
                                              {"team: create and free", create_and_free},
                                              {"team: pinned", pinned},
                                              {"team: used after fork", used_after_fork},
                                              {"team: wrong arguments", wrong_arguments}};

}  // namespace tokamak::tests
