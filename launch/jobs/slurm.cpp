#include "launch/jobs/slurm.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <regex>
#include <sstream>

#include "dist/error.h"
#include "launch/run/shell_words.h"
#include "launch/run/stopping.h"

namespace saddle {
namespace {

using Words = std::vector<std::string>;

// D-HH:MM:SS. Slurm counts in whole minutes and rounds up.
std::string slurm_time(double seconds) {
  const auto s = static_cast<int64_t>(seconds);
  return fmt::format("{}-{:02}:{:02}:{:02}", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
}

std::string time_limit(const SlurmJob& job) {
  const double seconds = parse_duration(job.time, "--time");
  require(seconds >= 2 * static_cast<double>(job.notice), Exit::usage,
          "--time {} leaves little time to train: the notice to save comes {} s (--notice), and up to a "
          "minute more, before its end",
          job.time, job.notice);
  return slurm_time(seconds);
}

// Slurm fills in what follows a % in the name of a log, and nothing where there is a backslash.
std::string log_file(const SlurmJob& job) {
  require(job.run.find('\\') == std::string::npos, Exit::usage,
          "--out '{}' has a backslash, with which Slurm cannot name the log of a job: choose another folder",
          job.run);
  return std::regex_replace(job.run, std::regex("%"), "%%") +
         (job.array.empty() ? "/slurm-%j.log" : "/slurm-%A_%a.log");
}

std::string options(const SlurmJob& job, const Site& site) {
  Words all = {"--job-name=" + job.name, "--chdir=" + std::filesystem::current_path().string(),
               "--output=" + log_file(job), fmt::format("--nodes={}", job.nodes),
               fmt::format("--ntasks-per-node={}", job.ranks)};
  if (!job.time.empty()) all.push_back("--time=" + time_limit(job));
  if (job.cpus > 0) all.push_back(fmt::format("--cpus-per-task={}", job.cpus));
  if (job.gpus > 0) all.push_back(fmt::format("--gpus-per-node={}", job.gpus));
  if (!site.mem.empty()) all.push_back("--mem=" + site.mem);
  if (!site.partition.empty()) all.push_back("--partition=" + site.partition);
  if (!site.account.empty()) all.push_back("--account=" + site.account);
  if (!job.array.empty()) all.push_back("--array=" + job.array);
  all.insert(all.end(), site.sbatch.begin(), site.sbatch.end());
  std::string lines;
  for (const std::string& option : all) {
    require_no_controls("an option of sbatch", option);
    lines += fmt::format("{}#SBATCH {}", lines.empty() ? "" : "\n", sbatch_quoted(option));
  }
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

void require_forms(const SlurmJob& job, const Site& site) {
  require_no_controls("--out", job.run);
  for (const std::string& word : job.train) require_no_controls("a word of the training", word);
  require(job.launcher == "srun" || job.launcher == "mpirun", Exit::usage,
          "launcher is srun or mpirun, found '{}'", job.launcher);
  static const std::regex tasks("[0-9]+([-,:%][0-9]+)*"), memory("0|[1-9][0-9]*[KMGTkmgt]");
  require(job.array.empty() || std::regex_match(job.array, tasks), Exit::usage,
          "--array expects numbers as Slurm's, such as 0-7, 1,3,5 or 0-15%4, found '{}'", job.array);
  require(site.mem.empty() || std::regex_match(site.mem, memory), Exit::usage,
          "--mem expects the memory of a node and its unit, such as 64G, or 0 for all of it; found '{}'",
          site.mem);
}

std::string counted(int64_t n, const std::string& what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

std::string ranks(const SlurmJob& job) {
  const std::string on_nodes = counted(job.nodes, "node") + " with " + counted(job.ranks, "rank");
  return fmt::format("{}{}, started by {}", on_nodes,
                     job.nodes == 1 ? "" : fmt::format(" each, {} in all", job.nodes * job.ranks),
                     job.launcher);
}

std::string gpus(const SlurmJob& job) {
  if (job.gpus == 0) return "none: training is on the CPU (--gpus-per-node)";
  return fmt::format("{} of each node, {}", job.gpus,
                     job.gpus >= job.ranks
                         ? "one a rank"
                         : "fewer than its ranks, which share them with device=cuda, else train on the CPU");
}

std::string cores(const SlurmJob& job) {
  if (job.cpus == 0) return "as Slurm gives them; ranks are not bound to any (--cpus-per-rank)";
  return fmt::format("{} of each node, {} a rank, bound", job.ranks * job.cpus, job.cpus);
}

std::string memory(const Site& site) {
  if (site.mem.empty()) return "as Slurm gives it (--mem)";
  return site.mem == "0" ? "all of each node" : site.mem + " of each node";
}

std::string time(const SlurmJob& job) {
  if (job.time.empty()) return "as the partition gives it (--time)";
  return fmt::format("{} a start, then saved {} s before its end and requeued", job.time, job.notice);
}

}  // namespace

std::string slurm_script(const SlurmJob& job, const Site& site) {
  require_forms(job, site);
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

std::string slurm_summary(const SlurmJob& job, const Site& site) {
  const auto line = [](const char* about, const std::string& text) {
    return fmt::format("{:<12} {}\n", about, text);
  };
  return line("job", ranks(job)) + line("GPUs", gpus(job)) + line("cores", cores(job)) +
         line("node memory", memory(site)) + line("time", time(job)) +
         (job.array.empty() ? "" : line("array", job.array + ": so many of these jobs, a seed each"));
}

}  // namespace saddle
