#include "launch/slurm.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <regex>
#include <sstream>

#include "dist/error.h"
#include "dist/file.h"
#include "launch/stopping.h"
#include "models/options.h"

namespace saddle {
namespace {

using Words = std::vector<std::string>;

Words split_words(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

// D-HH:MM:SS. Slurm counts in whole minutes and rounds up.
std::string slurm_time(double seconds) {
  const auto s = static_cast<int64_t>(seconds);
  return fmt::format("{}-{:02}:{:02}:{:02}", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
}

std::string options(const SlurmJob& job, const Site& site) {
  Words all = {"--job-name=" + job.name, "--chdir=" + std::filesystem::current_path().string(),
               fmt::format("--output={}/slurm-{}.log", job.run, job.array.empty() ? "%j" : "%A_%a"),
               fmt::format("--nodes={}", job.nodes), fmt::format("--ntasks-per-node={}", job.ranks)};
  if (!job.time.empty()) {
    const double seconds = parse_duration(job.time, "--time");
    require(seconds >= 2 * static_cast<double>(job.notice), Exit::usage,
            "--time {} leaves little time to train: the notice to save comes {} s (--notice), and up to a "
            "minute more, before its end",
            job.time, job.notice);
    all.push_back("--time=" + slurm_time(seconds));
  }
  if (job.cpus > 0) all.push_back(fmt::format("--cpus-per-task={}", job.cpus));
  if (job.gpus > 0) all.push_back(fmt::format("--gpus-per-node={}", job.gpus));
  if (!site.partition.empty()) all.push_back("--partition=" + site.partition);
  if (!site.account.empty()) all.push_back("--account=" + site.account);
  if (!job.array.empty()) all.push_back("--array=" + job.array);
  all.insert(all.end(), site.sbatch.begin(), site.sbatch.end());
  std::string lines;
  for (const std::string& option : all)
    lines += fmt::format("{}#SBATCH {}", lines.empty() ? "" : "\n", quoted(option));
  return lines;
}

std::string setup(const Site& site) {
  std::string lines = site.setup;
  while (lines.ends_with('\n')) lines.pop_back();
  for (const auto& [name, value] : site.environment)
    lines += fmt::format("{}export {}={}", lines.empty() ? "" : "\n", name, quoted(value));
  return lines;
}

std::string train(const SlurmJob& job) {
  if (job.array.empty()) return quoted(job.train) + " --out " + quoted(job.run) + " --resume";
  return fmt::format("{} --out {}/seed-$SLURM_ARRAY_TASK_ID --set seed=$SLURM_ARRAY_TASK_ID --resume",
                     quoted(job.train), quoted(job.run));
}

// Each rank on cores of its own, those of a NUMA node side by side; else where the kernel likes.
std::string binding(const SlurmJob& job, const Site& site) {
  const bool bound = job.cpus > 0;
  if (job.launcher == "srun") {
    Words words = bound ? Words{fmt::format("--cpus-per-task={}", job.cpus), "--cpu-bind=cores"}
                        : Words{"--cpu-bind=none"};
    words.insert(words.end(), site.srun.begin(), site.srun.end());
    return quoted(words);
  }
  Words words = {"--map-by",
                 fmt::format("ppr:{}:node{}", job.ranks, bound ? fmt::format(":pe={}", job.cpus) : ""),
                 "--bind-to", bound ? "core" : "none"};
  for (const auto& [name, value] : site.environment) words.insert(words.end(), {"-x", name});
  words.insert(words.end(), site.mpirun.begin(), site.mpirun.end());
  return quoted(words);
}

}  // namespace

std::string quoted(const std::string& word) {
  static const std::regex plain("[A-Za-z0-9_@%+=:,./-]+");
  if (std::regex_match(word, plain)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string quoted(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + quoted(word);
  return text;
}

Site read_site(const std::string& path) {
  Site site;
  const std::map<std::string, std::function<void(const std::string&)>> keys = {
      {"account", [&](const std::string& v) { site.account = v; }},
      {"partition", [&](const std::string& v) { site.partition = v; }},
      {"launcher", [&](const std::string& v) { site.launcher = v; }},
      {"setup", [&](const std::string& v) { site.setup = v; }},
      {"sbatch", [&](const std::string& v) { site.sbatch = split_words(v); }},
      {"srun", [&](const std::string& v) { site.srun = split_words(v); }},
      {"mpirun", [&](const std::string& v) { site.mpirun = split_words(v); }}};
  const std::string variables = "environment.";
  for (const auto& [key, value] : parse_toml(read_file(path), path)) {
    if (key.starts_with(variables)) {
      site.environment.emplace_back(key.substr(variables.size()), value);
      continue;
    }
    const auto known = keys.find(key);
    require(known != keys.end(), Exit::usage,
            "{}: no key '{}' in a site file: account, partition, launcher, sbatch, srun, mpirun, setup, "
            "environment.NAME",
            path, key);
    known->second(value);
  }
  return site;
}

std::string slurm_script(const SlurmJob& job, const Site& site) {
  require(job.launcher == "srun" || job.launcher == "mpirun", Exit::usage,
          "launcher is srun or mpirun, found '{}'", job.launcher);
  static const std::regex tasks("[0-9]+([-,:%][0-9]+)*");
  require(job.array.empty() || std::regex_match(job.array, tasks), Exit::usage,
          "--array expects numbers as Slurm's, such as 0-7, 1,3,5 or 0-15%4, found '{}'", job.array);
  const std::map<std::string, std::string> words = {{"options", options(job, site)},
                                                    {"notice", std::to_string(job.notice)},
                                                    {"setup", setup(site)},
                                                    {"train", train(job)},
                                                    {"binding", binding(job, site)}};
  const std::string other = job.launcher == "srun" ? "{{mpirun}}" : "{{srun}}";
  std::string script;
  std::istringstream in(slurm_template());
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(other)) continue;
    const std::string own = "{{" + job.launcher + "}}";
    if (line.starts_with(own)) line.erase(0, own.size());
    if (const size_t open = line.find("{{"); open != std::string::npos) {
      const size_t close = line.find("}}", open);
      line.replace(open, close + 2 - open, words.at(line.substr(open + 2, close - open - 2)));
    }
    script += line + "\n";
  }
  return script;
}

}  // namespace saddle
