// saddle launch: the scripts and commands it makes, and what it refuses to start. tests/launch/slurm.sh runs
// them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "dist/file.h"
#include "launch/jobs/slurm.h"
#include "launch/run/open_data.h"
#include "tests/data/folder.h"
#include "tests/support/shell.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::Folder;
using test::Result;
using test::shell;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

SlurmJob job_of_two_nodes() {
  SlurmJob job;
  job.name = job.run = "/runs/my run";
  job.train = {"/bin/saddle", "train", "dcgan", "--set", "crop=it's"};
  job.nodes = 2;
  job.ranks = job.gpus = 8;
  job.cpus = 4;
  job.time = "1d";
  return job;
}

// Whether bash takes it for a script; without Slurm nothing more of it can be run.
void expect_script(const std::string& text) {
  const Folder folder;
  write_file(folder / "job", text);
  const Result checked = shell("bash -n " + (folder / "job"));
  EXPECT_EQ(checked.status, 0) << checked.output << text;
  EXPECT_THAT(text, Not(HasSubstr("{{"))) << "all words are filled in";
}

TEST(SlurmScript, SaysWhatTheJobNeeds) {
  const std::string text = slurm_script(job_of_two_nodes(), {});
  expect_script(text);
  for (const char* line :
       {"#SBATCH --nodes=2\n", "#SBATCH --ntasks-per-node=8\n", "#SBATCH --gpus-per-node=8\n",
        "#SBATCH --cpus-per-task=4\n", "#SBATCH --time=1-00:00:00\n", "#SBATCH --signal=B:USR1@120\n",
        "#SBATCH --requeue\n", "#SBATCH --open-mode=append\n",
        "#SBATCH \"--output=/runs/my run/slurm-%j.log\"\n",
        "'crop=it'\\''s' --out '/runs/my run' --resume)\n",
        "launch=(srun --mpi=pmix --gpu-bind=none --distribution=block:block --cpus-per-task=4 "
        "--cpu-bind=cores)"})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(text, Not(HasSubstr("launch=(mpirun")));
}

TEST(SlurmScript, MpirunTakesTheSitesEnvironmentAlong) {
  const Folder folder;
  write_file(folder / "site.toml",
             "account = 'me'\nmem = '96G'\nsbatch = '--exclusive -C a100'\nmpirun = '--mca a b'\nsetup = "
             "'''\nmodule load "
             "x\n'''\n"
             "[environment]\nNCCL_SOCKET_IFNAME = 'ib 0'\n");
  SlurmJob job = job_of_two_nodes();
  job.launcher = "mpirun";
  const std::string text = slurm_script(job, read_site(folder / "site.toml"));
  expect_script(text);
  for (const char* line :
       {"#SBATCH --account=me\n", "#SBATCH --mem=96G\n", "#SBATCH --exclusive\n#SBATCH -C\n#SBATCH a100\n",
        "\nmodule load x\n", "export NCCL_SOCKET_IFNAME='ib 0'\n",
        "--map-by ppr:8:node:pe=4 --bind-to core -x NCCL_SOCKET_IFNAME --mca a b)"})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(text, Not(HasSubstr("launch=(srun")));
}

TEST(SlurmScript, AnArraysTasksHaveSeedsAndFoldersOfTheirOwn) {
  SlurmJob job = job_of_two_nodes();
  job.array = "0-7%2";
  const std::string text = slurm_script(job, {});
  expect_script(text);
  EXPECT_THAT(text, AllOf(HasSubstr("#SBATCH --array=0-7%2\n"), HasSubstr("slurm-%A_%a.log"),
                          HasSubstr("--out '/runs/my run'/seed-$SLURM_ARRAY_TASK_ID --set "
                                    "seed=$SLURM_ARRAY_TASK_ID --resume)")));
}

TEST(SlurmScript, WhatCannotBeIsRefused) {
  SlurmJob job = job_of_two_nodes();
  job.array = "0-7; rm";
  EXPECT_THAT(error_of([&] { slurm_script(job, {}); }), HasSubstr("--array expects numbers"));
  job = job_of_two_nodes();
  job.time = "3m";
  EXPECT_THAT(error_of([&] { slurm_script(job, {}); }), HasSubstr("--notice"));
  const Folder folder;
  write_file(folder / "site.toml", "acount = 'me'\n");
  EXPECT_THAT(error_of([&] { read_site(folder / "site.toml"); }), HasSubstr("no key 'acount'"));
}

// tests/launch/slurm.sh has sbatch read them.
TEST(SlurmScript, NamesAreWordsOfSbatchAndOfTheShell) {
  SlurmJob job = job_of_two_nodes();
  job.name = "a#b";
  job.run = "/runs/50% \"it's\"";
  const std::string text = slurm_script(job, {});
  expect_script(text);
  EXPECT_THAT(text, AllOf(HasSubstr("#SBATCH \"--job-name=a#b\"\n"),
                          HasSubstr("#SBATCH \"--output=/runs/50%% \\\"it's\\\"/slurm-%j.log\"\n"),
                          HasSubstr(" --out '/runs/50% \"it'\\''s\"' --resume)")));
  job.run = "/runs/a\\b";
  EXPECT_THAT(error_of([&] { slurm_script(job, {}); }), HasSubstr("backslash"));
}

TEST(SlurmScript, ControlCharactersAreRefusedWhereverTheyCome) {
  const auto refused = [](const std::function<void(SlurmJob&, Site&)>& spoil) {
    SlurmJob job = job_of_two_nodes();
    Site site;
    spoil(job, site);
    EXPECT_THAT(error_of([&] { slurm_script(job, site); }), HasSubstr("control character"));
  };
  for (const std::string bad : {"a\nb", "a\rb", "a\tb", "a\x1b[0m", "a\x7f"}) {
    refused([&](SlurmJob& job, Site&) { job.name = bad; });
    refused([&](SlurmJob& job, Site&) { job.run = "/runs/" + bad; });
    refused([&](SlurmJob& job, Site&) { job.train.push_back("--set=" + bad); });
    refused([&](SlurmJob&, Site& site) { site.partition = bad; });
    refused([&](SlurmJob&, Site& site) { site.sbatch = {"--comment=" + bad}; });
  }
}

TEST(SlurmScript, MemoryNeedsItsUnit) {
  Site site;
  for (const char* good : {"0", "512M", "64G", "1T"}) {
    site.mem = good;
    EXPECT_THAT(slurm_script(job_of_two_nodes(), site), HasSubstr(std::string("--mem=") + good + "\n"));
  }
  for (const char* bad : {"64", "64GiB", "1.5G", "-1G", "much", "64G\n"}) {
    site.mem = bad;
    EXPECT_THAT(error_of([&] { slurm_script(job_of_two_nodes(), site); }), HasSubstr("such as 64G"));
  }
}

TEST(SlurmSummary, CountsWhatTheJobWouldHave) {
  SlurmJob job = job_of_two_nodes();
  Site site;
  site.mem = "64G";
  EXPECT_THAT(
      slurm_summary(job, site),
      AllOf(HasSubstr("2 nodes with 8 ranks each, 16 in all, started by srun\n"),
            HasSubstr("8 of each node, one a rank\n"), HasSubstr("32 of each node, 4 a rank, bound\n"),
            HasSubstr("64G of each node\n"), HasSubstr("1d a start, then saved 120 s before")));
  job.gpus = 4;
  EXPECT_THAT(slurm_summary(job, site), HasSubstr("4 of each node, fewer than its ranks"));
  EXPECT_THAT(slurm_summary(SlurmJob(), Site()),
              AllOf(HasSubstr("1 node with 1 rank, started by srun\n"), HasSubstr("none: "),
                    HasSubstr("as Slurm gives it (--mem)")));
}

TEST(Site, WhatAScriptCannotHoldIsRefused) {
  const Folder folder;
  const auto error = [&](const std::string& text) {
    write_file(folder / "site.toml", text);
    return error_of([&] { read_site(folder / "site.toml"); });
  };
  for (const char* key : {"account", "partition", "launcher", "mem", "environment.A"})
    EXPECT_THAT(error(fmt::format("{} = \"a\\nb\"\n", key)),
                AllOf(HasSubstr(key), HasSubstr("control character")));
  EXPECT_THAT(error("setup = \"a\\rb\""), HasSubstr("control character"));
  EXPECT_THAT(error("sbatch = \"--a \\u0001\""), HasSubstr("control character"));
  for (const char* name : {"1A", "A-B", "'A B'", "'A=1'", "'A;rm'", "A.B", "'\xc3\x84'", "''"})
    EXPECT_THAT(error(fmt::format("[environment]\n{} = 'x'\n", name)), HasSubstr("no name of an environment"))
        << name;
}

TEST(Site, LinesMayEndAsOtherSystemsEndThem) {
  const Folder folder;
  write_file(folder / "site.toml",
             "account = 'me'\r\nsetup = '''\r\nmodule load x\r\n\tmodule load y\r\n'''\r\n");
  const Site site = read_site(folder / "site.toml");
  EXPECT_EQ(site.account, "me");
  EXPECT_EQ(site.setup, "module load x\n\tmodule load y\n");
}

TEST(Site, TheExampleIsOne) {
  const Site site = read_site(SADDLE_SOURCE_DIR "/cluster/sites/example.toml");
  EXPECT_EQ(site.partition, "gpu");
  EXPECT_EQ(site.sbatch.size(), 2U);
  expect_script(slurm_script(job_of_two_nodes(), site));
}

TEST(ParseData, WhatExistsIsAPathWhateverItsName) {
  const Folder folder;
  const auto texts = [](const std::string& text) {
    std::vector<std::string> found;
    for (const NamedFolder& part : parse_data(text)) found.push_back(part.name + " is " + part.folder);
    return found;
  };
  using testing::ElementsAre;
  EXPECT_THAT(texts("a=b"), ElementsAre("a is b"));
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  for (const char* name : {"a=b", "x,y=1", "x,y=1,z=2"}) fs::create_directory(name);
  EXPECT_THAT(texts("a=b"), ElementsAre(" is a=b"));
  EXPECT_THAT(texts("a=b/"), ElementsAre(" is a=b/"));
  EXPECT_THAT(texts("n=a=b"), ElementsAre("n is a=b"));
  EXPECT_THAT(texts("n=x,y=1"), ElementsAre("n is x,y=1"));
  EXPECT_THAT(texts("n=x,y=1,z=2,m=a=b"), ElementsAre("n is x,y=1,z=2", "m is a=b"));
  EXPECT_THAT(texts("n=x,m=nowhere"), ElementsAre("n is x", "m is nowhere"));
  EXPECT_EQ(data_text({"a=b/"}), folder / "a=b/");
  EXPECT_EQ(data_text({"n=a=b", "m=x,y=1"}), "n=" + folder / "a=b,m=" + folder / "x,y=1");
  fs::current_path(before);
}

class Launch : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<Folder>();
    ASSERT_EQ(shell(SADDLE_BINARY " pack ring8 --samples 100 --out " + *folder_ / "ring").status, 0);
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static Result launch(const std::string& arguments, const std::string& environment = "") {
    return shell(
        fmt::format("cd {} && {} " SADDLE_BINARY " launch {}", folder_->path(), environment, arguments));
  }
  static void expect_error(const Result& result, const std::string& text) {
    EXPECT_EQ(result.status, 64) << result.output;
    EXPECT_THAT(result.output, HasSubstr(text));
  }
  static inline std::unique_ptr<Folder> folder_;
};

TEST_F(Launch, BadRecipesAndFlagsAreRefusedBeforeAnythingIsMade) {
  for (const char* how : {"slurm", "mpi"}) {
    const auto with = [&](const std::string& rest) {
      return launch(std::string(how) + " --out run " + rest);
    };
    expect_error(with("gan-nss --data ring"), "gan-ns");
    expect_error(with("gan-ns --data ring -- --set batsh=3"), "batsh");
    expect_error(with("gan-ns --data ring -- --no-such"), "--no-such");
    const Result without_data = with("gan-ns --data nothing");
    EXPECT_EQ(without_data.status, 65) << "as of the training";
    EXPECT_THAT(without_data.output, HasSubstr("saddle pack"));
    expect_error(with("gan-ns"), "no data");
  }
  EXPECT_FALSE(fs::exists(*folder_ / "run"));
}

TEST_F(Launch, WithoutSlurmTheScriptIsThereAndSaysWhatToDo) {
  expect_error(
      launch("slurm gan-ns --data ring --out run -- --steps 5", "PATH=/nowhere"),
      "no sbatch here, so nothing was submitted: the script lies in '" + *folder_ / "run/job.sbatch'");
  const Result dry = launch("slurm gan-ns --data ring --out run --dry-run -- --steps 5 2>/dev/null");
  EXPECT_EQ(dry.status, 0);
  EXPECT_EQ(dry.output, read_file(*folder_ / "run/job.sbatch"));
  EXPECT_THAT(dry.output, HasSubstr(" train gan-ns --data " + *folder_ / "ring --steps 5 --out "));
}

TEST_F(Launch, ADryRunSaysWhatItWouldBeBesideTheScript) {
  const Result slurm = launch(
      "slurm gan-ns --data ring --out dry --nodes 2 --ranks-per-node 4 --mem 8G --dry-run 2>&1 >script");
  EXPECT_EQ(slurm.status, 0) << slurm.output;
  EXPECT_THAT(slurm.output,
              AllOf(HasSubstr("2 nodes with 4 ranks each, 8 in all"), HasSubstr("8G of each"),
                    HasSubstr("a batch of 256 is 32 samples a rank"), HasSubstr("100 samples of x")));
  EXPECT_THAT(read_file(*folder_ / "script"), AllOf(HasSubstr("#!/bin/bash"), HasSubstr("--mem=8G")));
  const Result mpi = launch("mpi gan-ns -n 3 --data ring --out dry --dry-run 2>&1 >command");
  EXPECT_EQ(mpi.status, 0) << mpi.output;
  EXPECT_THAT(mpi.output,
              AllOf(HasSubstr("3 ranks on this machine"), HasSubstr("a batch of 256 is 85 or 86 samples")));
  EXPECT_THAT(read_file(*folder_ / "command"), HasSubstr("mpirun -n 3 "));
  EXPECT_FALSE(fs::exists(*folder_ / "dry"));
}

TEST_F(Launch, OddNamesOfFoldersReachTheJob) {
  const auto script = [&](const std::string& arguments) {
    const Result dry = launch("slurm " + arguments + " --dry-run 2>err; cat err >&2");
    EXPECT_EQ(dry.status, 0) << dry.output;
    return dry.output;
  };
  EXPECT_THAT(script("gan-ns --data ring --out runs/a/"), HasSubstr("#SBATCH --job-name=a\n"));
  EXPECT_THAT(script("gan-ns --data ring --out runs/a/./b/.."), HasSubstr("#SBATCH --job-name=a\n"));
  ASSERT_EQ(shell("cd " + folder_->path() + " && cp -r ring n=ring && mkdir gan-ns").status, 0);
  EXPECT_THAT(script("gan-ns --data n=ring --out run"),
              HasSubstr(" train gan-ns --data " + *folder_ / "n=ring "));
  expect_error(launch("slurm gan-ns --data ring --out \"$(printf 'a\\nb')\""), "control character");
}

TEST_F(Launch, SbatchsRefusalIsPassedOn) {
  fs::create_directories(*folder_ / "bin");
  write_file(*folder_ / "bin/sbatch", "#!/bin/sh\necho 'invalid account' >&2\nexit 1\n");
  fs::permissions(*folder_ / "bin/sbatch", fs::perms::owner_all);
  expect_error(launch("slurm gan-ns --data ring --out run", "PATH=$PWD/bin:$PATH"),
               "with status 1: invalid account");
}

TEST_F(Launch, MpiTrainsOnAllRanks) {
  const Result done = launch("mpi gan-ns -n 2 --data ring --out two -- --steps 2");
  EXPECT_EQ(done.status, 0) << done.output;
  EXPECT_THAT(done.output, AllOf(HasSubstr("mpirun -n 2 "), HasSubstr("2 ranks on cpu")));
  expect_error(launch("mpi gan-ns -n 2 --data ring --out two --hostfile none"),
               "there is no hostfile 'none'");
}

TEST_F(Launch, UnderALauncherItWouldStartManyJobs) {
  expect_error(launch("mpi gan-ns -n 2 --data ring --out two", "OMPI_COMM_WORLD_SIZE=2"), "call it plainly");
}

TEST_F(Launch, RanksWithoutPmixAreRefusedAtOnce) {
  const Result refused =
      shell("SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=0 " SADDLE_BINARY " train gan-ns --out x");
  expect_error(refused, "SLURM_STEP_NUM_TASKS=4 tasks, but MPI's world would be 1 rank");
  expect_error(shell("PMI_SIZE=4 " SADDLE_BINARY " train gan-ns --out x"), "MPI has 1 rank");
  EXPECT_THAT(shell("SLURM_NTASKS=4 " SADDLE_BINARY " train gan-ns --out x").output, HasSubstr("no data"));
}

}  // namespace
}  // namespace saddle
