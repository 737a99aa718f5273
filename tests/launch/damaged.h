// Hand-made damage to files, and what commands do about it: how they end, how long they take and how much
// memory.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dist/file.h"
#include "tests/data/folder.h"

namespace saddle::test {

struct Ended {
  int status = 0;  // as a shell gives it; -1: killed as it took too long
  double seconds = 0, mib = 0;
  std::string output;
};

// The program, plainly. Memory is the largest resident set of it or of this process when it started it.
inline Ended run_saddle(const std::vector<std::string>& words, const std::string& scratch) {
  constexpr double kPatience = 30;
  std::vector<char*> arguments{const_cast<char*>(SADDLE_BINARY)};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const std::string output = scratch + "/output";
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const pid_t child = fork();
  if (child == 0) {
    const int to = open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600),
              from = open("/dev/null", O_RDONLY);
    dup2(from, 0), dup2(to, 1), dup2(to, 2);
    execv(SADDLE_BINARY, arguments.data());
    _exit(127);
  }
  int status = 0;
  rusage used{};
  while (wait4(child, &status, WNOHANG, &used) == 0) {
    if (seconds() > kPatience) kill(child, SIGKILL);
    usleep(5000);
  }
  Ended ended{.seconds = seconds(), .mib = double(used.ru_maxrss) / 1024, .output = read_file(output)};
  ended.status = WIFEXITED(status)           ? WEXITSTATUS(status)
                 : ended.seconds > kPatience ? -1
                                             : 128 + WTERMSIG(status);
  return ended;
}

struct Case {
  std::string name;
  std::function<void(const std::string& folder)> damage;
  std::vector<std::string> commands = {};  // those that see it; none: all
};
using Cases = std::vector<Case>;

// As many as SADDLE_DAMAGED asks for, 30 if it does not, spread over all.
inline Cases some_of(const Cases& all) {
  const char* asked = std::getenv("SADDLE_DAMAGED");
  const size_t count = std::min(all.size(), asked ? size_t(std::atoll(asked)) : 30);
  Cases some;
  for (size_t i = 0; i < count; ++i) some.push_back(all[i * all.size() / count]);
  return some;
}

// --- Values and texts that a reader of JSON may meet, made once: this process must stay small ---

using Values = std::vector<std::pair<std::string, nlohmann::json>>;
using Texts = std::vector<std::pair<std::string, std::string>>;

inline const Values& strange_values() {
  using nlohmann::json;
  static const json deep = [] {
    json made = 1;
    for (int level = 0; level < 40; ++level) made = json::array({made});
    return made;
  }();
  static const Values values{{"null", nullptr},
                             {"true", true},
                             {"negative", -1},
                             {"huge", 1e300},
                             {"unsigned", UINT64_MAX},
                             {"text", "x"},
                             {"list", json::array()},
                             {"object", json::object()},
                             {"deep", deep},
                             {"long text", std::string(1 << 20, 'y')},
                             {"long list", std::vector<int>(100'000, 7)}};
  return values;
}

inline const Texts& strange_texts() {
  const auto repeated = [](const std::string& text, size_t times) {
    std::string all;
    for (size_t i = 0; i < times; ++i) all += text;
    return all;
  };
  static const Texts texts{{"empty", ""},
                           {"brace", "{"},
                           {"null", "null"},
                           {"list", "[]"},
                           {"number", "1e999"},
                           {"zeros", std::string(4096, '\0')},
                           {"brackets", std::string(200'000, '[')},
                           {"closed brackets", std::string(200'000, '[') + std::string(200'000, ']')},
                           {"deep objects", repeated("{\"a\":", 200'000)},
                           {"utf-16", std::string("\xff\xfe{\0}\0", 6)},
                           {"no utf-8", "{\"a\": \"\xff\xfe\"}"},
                           {"twice", R"({"format": 2, "format": 2})"},
                           {"controls", "{\"a\": \"\x1b[2J\n\"}"},
                           {"many values", "[" + repeated("[],", 2'000'000) + "1]"},
                           {"many objects", "{\"a\": [" + repeated("{},", 1'500'000) + "1]}"},
                           {"long text", "\"" + std::string(20 << 20, 'x') + "\""}};
  return texts;
}

// What may lie at a path in place of a file.
inline std::vector<std::pair<std::string, std::function<void(const std::string& path)>>> strange_kinds() {
  namespace fs = std::filesystem;
  const auto link = [](const std::string& target) {
    return [target](const std::string& path) { fs::create_symlink(target, path); };
  };
  return {{"fifo", [](const std::string& path) { ASSERT_EQ(mkfifo(path.c_str(), 0600), 0); }},
          {"folder", [](const std::string& path) { fs::create_directory(path); }},
          {"device", link("/dev/zero")},
          {"tty", link("/dev/tty")},
          {"dangling link", link("nowhere/at/all")},
          {"link to itself",
           [](const std::string& path) { fs::create_symlink(fs::path(path).filename(), path); }},
          {"endless file",
           [](const std::string& path) {
             put(path, "");
             fs::resize_file(path, int64_t{1} << 40);
           }},
          {"socket", [](const std::string& path) {
             // A name is at most 107 bytes long: bound by way of a descriptor of the folder.
             const int folder = open(fs::path(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY);
             const int made = socket(AF_UNIX, SOCK_STREAM, 0);
             sockaddr_un name{.sun_family = AF_UNIX, .sun_path = {}};
             fmt::format_to_n(name.sun_path, sizeof name.sun_path - 1, "/proc/self/fd/{}/{}", folder,
                              fs::path(path).filename().string());
             ASSERT_EQ(bind(made, reinterpret_cast<sockaddr*>(&name), sizeof name), 0) << path;
             close(made), close(folder);
           }}};
}

// All of these at one path below the folder of a case.
inline void add_kinds(Cases& cases, const std::string& file, const std::vector<std::string>& commands) {
  for (const auto& [kind, make] : strange_kinds())
    cases.push_back({file + " is a " + kind,
                     [file, make = make](const std::string& folder) {
                       std::filesystem::remove_all(folder + "/" + file);
                       make(folder + "/" + file);
                     },
                     commands});
}

inline void add_texts(Cases& cases, const std::string& file, const std::vector<std::string>& commands) {
  for (const auto& [name, text] : strange_texts())
    cases.push_back({file + " holds " + name,
                     [file, text = &text](const std::string& folder) { put(folder + "/" + file, *text); },
                     commands});
}

// Ends well means: with a documented status and one error, soon, in little memory.
struct Limits {
  double seconds = 5, mib = 300;
};

// Where other programs want the cores too, it takes as much longer as they are more than the cores.
inline void expect_soon(const Ended& ended, const std::string& what, const Limits& limits = {}) {
  double load = 0;
  getloadavg(&load, 1);
  const double busy = std::max(1.0, load / double(sysconf(_SC_NPROCESSORS_ONLN)));
  EXPECT_LE(ended.seconds, limits.seconds * busy) << what << "\n" << ended.output.substr(0, 2000);
  EXPECT_LE(ended.mib, limits.mib) << what << "\n" << ended.output.substr(0, 2000);
}

inline bool is_refusal(const Ended& ended) {
  return ended.status == 64 || ended.status == 65 || ended.status == 74;
}

// A line a case, for people: SADDLE_DAMAGED_TABLE names the file.
inline void tabulate(const std::string& name, const std::string& command, const Ended& ended) {
  const char* path = std::getenv("SADDLE_DAMAGED_TABLE");
  if (!path) return;
  std::ofstream(path, std::ios::app) << fmt::format(
      "{}\t{}\t{}\t{:.2f}\t{:.0f}\t{}\n", name, command, ended.status, ended.seconds, ended.mib,
      ended.output.substr(0, ended.output.find('\n')).substr(0, 200));
}

}  // namespace saddle::test
