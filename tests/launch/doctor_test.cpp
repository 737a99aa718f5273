// `saddle doctor`: each check is made to fail once, as a user would meet it; judgements that need a cluster
// are tested as the functions they are.
#include "launch/doctor/host.h"
#include "launch/doctor/network.h"
#include "launch/doctor/ports.h"
#include "launch/doctor/storage.h"
#include "launch/doctor/training.h"
#include "launch/doctor/world.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "data/dataset.h"
#include "dist/file.h"
#include "dist/line_socket.h"
#include "tests/support/shell.h"

namespace saddle::doctor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Result;
using testing::HasSubstr;

constexpr int64_t kGiB = int64_t{1} << 30;

// mpirun has its say on stderr.
Result shell(const std::string& command) {
  return test::shell("( " + command + " ) 2>/dev/null");
}

constexpr const char* kDoctor = "timeout 60 " SADDLE_BINARY " doctor --json --quick ";
constexpr const char* kLaunch = "mpirun --oversubscribe --bind-to none -n ";

// The lines of one check.
json lines(const Result& result, const std::string& check) {
  json found = json::array();
  const json all = json::parse(result.output, nullptr, false);
  if (!all.is_array()) return "no report: " + result.output;
  for (const json& line : all)
    if (line.at("check") == check) found.push_back(line);
  return found;
}

// A check with one line: of this status, with `found` in it, and with advice unless all is well.
void expect(const Result& result, const std::string& check, const std::string& status,
            const std::string& found) {
  const json of_check = lines(result, check);
  ASSERT_TRUE(of_check.is_array() && of_check.size() == 1) << of_check.dump(1) << result.output;
  EXPECT_EQ(of_check[0]["status"], status) << of_check.dump(1);
  EXPECT_THAT(of_check[0]["found"].get<std::string>(), HasSubstr(found));
  EXPECT_EQ(of_check[0]["advice"].get<std::string>().empty(), status == "ok") << of_check.dump(1);
  EXPECT_TRUE(status != "failure" || result.status == 1) << result.status;
}

class Doctor : public testing::Test {
 protected:
  std::string dir_ = testing::TempDir() + "saddle_doctor_" + std::to_string(::getpid()) + "/";

  void SetUp() override {
    fs::create_directories(dir_);
    ASSERT_EQ(pack("ring", 1).status, 0);
  }
  void TearDown() override { fs::remove_all(dir_); }

  Result pack(const std::string& name, int seed) const {
    return shell(
        fmt::format("{} pack ring8 --samples 2000 --seed {} --out {}{}", SADDLE_BINARY, seed, dir_, name));
  }
  std::string data() const { return "--data " + dir_ + "ring "; }
  std::string small() const {
    return data() + "--recipe gan-ns --set batch=16 --set g.width=8 --set d.width=8 ";
  }
};

// ---- through the program

TEST_F(Doctor, HasNothingToSayAgainstASoundRunAndLeavesNothingBehind) {
  for (const std::string& launcher : {std::string(), std::string(kLaunch) + "3 "}) {
    const Result result =
        shell(launcher + "timeout 60 " SADDLE_BINARY " doctor " + small() + "--out " + dir_ + "a/run");
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("0 failures"));
    EXPECT_THAT(result.output, HasSubstr("samples on the CPU"));  // of the step
    EXPECT_EQ(result.output.find("failure "), std::string::npos) << result.output;
    EXPECT_FALSE(fs::exists(dir_ + "a")) << "the run folder was made";
  }
}

TEST_F(Doctor, SaysOnceWhatIsTheSameOnAllRanksAndMeasuresEveryPair) {
  const Result result = shell(std::string(kLaunch) + "4 " + kDoctor + small() + "--out " + dir_);
  for (const char* check :
       {"versions", "binary", "environment", "world", "binding", "MPI", "clocks", "ports", "data set",
        "memory", "recipe", "open files", "HDF5 locks", "run folder", "space"}) {
    const json of_check = lines(result, check);
    ASSERT_TRUE(of_check.is_array()) << result.output;
    EXPECT_EQ(of_check.size(), 1U) << check << of_check.dump(1);
    for (const json& line : of_check) EXPECT_FALSE(line.contains("ranks")) << line.dump();
  }
  expect(result, "within a host", "ok", "6 pairs");
}

TEST_F(Doctor, ListsThePortsOfAJobAndWhereItsWatchdogsMet) {
  const std::string doctor = std::string(kLaunch) + "2 " + kDoctor + small();
  expect(shell(doctor), "ports", "ok", "watchdogs: 127.0.0.1:");
  expect(shell(doctor + "--set watch.interface=lo"), "ports", "ok", "watchdogs: 127.0.0.1:");
  const Result wrong = test::shell(doctor + "--set watch.interface=nowhere0 2>&1");
  EXPECT_EQ(wrong.status, 74) << wrong.output;
  EXPECT_THAT(wrong.output, HasSubstr("watch.interface=nowhere0: rank 0 ("));
  EXPECT_THAT(wrong.output, HasSubstr("lo (127.0.0.1)"));
}

TEST_F(Doctor, BadUsageIsTold) {
  EXPECT_EQ(shell(kDoctor + data() + "--set batch=3").status, 64);
  EXPECT_EQ(shell(kDoctor + data() + "--recipe gan-ns --set btach=3").status, 64);
  EXPECT_EQ(shell(kDoctor + data() + "--recipe dcgna").status, 64);
}

TEST_F(Doctor, FindsAMissingDataSet) {
  expect(shell(std::string(kDoctor) + "--data /nowhere"), "data set", "failure", "/nowhere");
}

TEST_F(Doctor, FindsADamagedShard) {
  const std::string shard = dir_ + "ring/shard-00000.h5", whole = read_file(shard);
  const torch::Tensor first = open_shards(dir_ + "ring")->read({0})["x"];
  const size_t place = whole.find(std::string(static_cast<const char*>(first.data_ptr()), first.nbytes()));
  ASSERT_NE(place, std::string::npos);
  std::string damaged = whole;
  damaged[place] ^= 4;
  write_file(shard, damaged);
  expect(shell("timeout 60 " SADDLE_BINARY " doctor --json " + data()), "checksums", "failure",
         "sample 0 is damaged");
  write_file(shard, whole.substr(0, whole.size() / 2));
  expect(shell(kDoctor + data()), "data set", "failure", "shard-00000.h5");
}

TEST_F(Doctor, FindsAnotherDataSetOnAnotherRank) {
  ASSERT_EQ(pack("other", 2).status, 0);
  const Result result = shell(
      fmt::format("{}1 {}--data {}ring : -n 1 {}--data {}other", kLaunch, kDoctor, dir_, kDoctor, dir_));
  const json of_check = lines(result, "data set");
  ASSERT_EQ(of_check.size(), 2U) << of_check.dump(1);
  for (const json& line : of_check) EXPECT_EQ(line["status"], "failure");
  EXPECT_EQ(of_check[1]["ranks"], json({1}));
}

TEST_F(Doctor, FindsARecipeThatDoesNotFitTheData) {
  const Result result = shell(kDoctor + data() + "--recipe dcgan");
  expect(result, "recipe", "failure", "image");
}

TEST_F(Doctor, FindsWorldsOfOneThatShouldBeOneOfFour) {
  expect(shell(std::string("PMI_SIZE=4 ") + kDoctor), "world", "failure", "PMI_SIZE=4");
  expect(shell(std::string("SLURM_NTASKS=4 ") + kDoctor), "world", "warning", "SLURM_NTASKS=4");
}

TEST_F(Doctor, FindsMoreThreadsThanCores) {
  expect(shell(kDoctor + small() + "--set threads=4096"), "cores", "warning", "4096 compute threads");
}

TEST_F(Doctor, FindsALowLimitOfOpenFiles) {
  expect(shell(std::string("ulimit -n 100; ") + kDoctor + data()), "open files", "failure", "100 allowed");
  expect(shell(std::string("ulimit -n 500; ") + kDoctor + data()), "open files", "warning", "500 allowed");
}

TEST_F(Doctor, FindsASmallStack) {
  expect(shell(std::string("ulimit -s 1024; ") + kDoctor), "ulimit", "warning", "1.0 MiB");
}

TEST_F(Doctor, FindsNetsThatDoNotFitIntoMemory) {
  const Result result = shell("ulimit -v 1500000; " + (kDoctor + data()) +
                              "--recipe gan-ns --set g.width=20000 --set d.width=20000");
  expect(result, "recipe", "failure", "needs more than");
}

TEST_F(Doctor, FindsThatHdf5IsToldToMindLocks) {
  expect(shell(std::string("HDF5_USE_FILE_LOCKING=TRUE ") + kDoctor), "HDF5 locks", "warning",
         "HDF5_USE_FILE_LOCKING=TRUE");
  expect(shell(std::string("unset HDF5_USE_FILE_LOCKING; ") + kDoctor), "HDF5 locks", "ok",
         "another program locks");
}

TEST_F(Doctor, FindsAnotherBinaryOnAnotherRank) {
  fs::copy_file(SADDLE_BINARY, dir_ + "saddle");
  ASSERT_EQ(shell("echo >> " + dir_ + "saddle").status, 0);
  const Result result =
      shell(fmt::format("{}2 {} : -n 1 {}saddle doctor --json --quick", kLaunch, kDoctor, dir_));
  EXPECT_EQ(result.status, 1);
  const json of_check = lines(result, "binary");
  ASSERT_EQ(of_check.size(), 2U) << of_check.dump(1);
  EXPECT_EQ(of_check[0]["status"], "failure");
  EXPECT_EQ(of_check[0]["ranks"], json({0, 1}));
  EXPECT_EQ(of_check[1]["ranks"], json({2}));
}

TEST_F(Doctor, FindsVariablesThatDiffer) {
  const Result result = shell(fmt::format("{}1 -x NCCL_DEBUG=INFO {} : -n 1 {}", kLaunch, kDoctor, kDoctor));
  const json of_check = lines(result, "environment");
  ASSERT_EQ(of_check.size(), 2U) << of_check.dump(1);
  EXPECT_EQ(of_check[1]["status"], "warning");
  EXPECT_EQ(of_check[1]["found"], "NCCL_DEBUG=(unset)");
}

TEST_F(Doctor, FindsFoldersThatCannotBeMade) {
  write_file(dir_ + "file", "");
  expect(shell(kDoctor + ("--out " + dir_ + "file/run")), "run folder", "failure", "file/run");
  expect(shell(kDoctor + std::string("--out /proc/nowhere/run")), "run folder", "failure",
         "/proc/nowhere/run");
}

// In a mount namespace of its own; `mount` is what to mount on dir_/disk.
class DoctorOfMounts : public Doctor {
 protected:
  void SetUp() override {
    Doctor::SetUp();
    fs::create_directories(disk_);
    if (shell(mounted("tmpfs none", "true")).status != 0) GTEST_SKIP() << "no right to mount";
  }
  std::string mounted(const std::string& mount, const std::string& command) const {
    return fmt::format("unshare -m sh -c 'mount -t {} {} && exec {}'", mount, disk_, command);
  }
  std::string disk_ = dir_ + "disk";
};

TEST_F(DoctorOfMounts, FindsAReadOnlyDisk) {
  expect(shell(mounted("tmpfs -o ro none", kDoctor + ("--out " + disk_ + "/run"))), "run folder", "failure",
         "read-only");
}

TEST_F(DoctorOfMounts, FindsAFullDisk) {
  expect(shell(mounted("tmpfs -o size=64k none", kDoctor + ("--out " + disk_ + "/run"))), "run folder",
         "failure", "No space left");
}

TEST_F(DoctorOfMounts, FindsThatCheckpointsWillNotFit) {
  const std::string wide = small() + "--set g.width=2000 --out " + disk_ + "/run";
  expect(shell(mounted("tmpfs -o size=20m none", kDoctor + wide)), "space", "failure", "20 MiB free");
  const std::string many =
      small() + "--set steps=100000 --set checkpoint.milestones=1 --out " + disk_ + "/run";
  expect(shell(mounted("tmpfs -o size=20m none", kDoctor + many)), "space", "failure", "20 MiB free");
}

TEST_F(DoctorOfMounts, FindsARunFolderThatIsLostAtReboot) {
  expect(shell(mounted("tmpfs -o size=2g none", kDoctor + ("--out " + disk_ + "/run"))), "space", "warning",
         "tmpfs");
}

TEST_F(DoctorOfMounts, FindsAFolderThatIsNotShared) {
  const std::string here = kDoctor + ("--out " + disk_ + "/run");
  const Result result = shell(fmt::format("{}1 {} : -n 1 {}", kLaunch, here, mounted("tmpfs none", here)));
  expect(result, "run folder", "failure", "does not see what rank 0 wrote");
  EXPECT_EQ(lines(result, "run folder")[0]["ranks"], json({1}));
  EXPECT_FALSE(fs::exists(disk_ + "/run"));
}

TEST_F(Doctor, IsNotHeldUpByAFileSystemThatHangs) {
  ASSERT_EQ(pack("hangs", 1).status, 0);
  const std::string command = "env LD_PRELOAD=" SADDLE_HANGING_FILES " " + std::string(kDoctor) +
                              "--timeout 1 --data " + dir_ + "hangs";
  expect(shell(command), "data set", "failure", "no answer within 1 s");
  expect(shell(kLaunch + ("2 " + command)), "data set", "failure", "no answer within 1 s");
}

// ---- judgements

TEST(Tournament, EveryPairMeetsOnceAndNobodyTwiceInARound) {
  for (const int size : {1, 2, 3, 4, 7, 16}) {
    std::set<std::pair<int, int>> met;
    for (const auto& round : tournament(size)) {
      std::set<int> busy;
      for (const Link& l : round) {
        EXPECT_LT(l.a, l.b);
        EXPECT_LT(l.b, size);
        EXPECT_TRUE(met.emplace(l.a, l.b).second);
        EXPECT_TRUE(busy.insert(l.a).second && busy.insert(l.b).second);
      }
    }
    EXPECT_EQ(met.size(), size_t(size * (size - 1) / 2));
  }
}

std::vector<Link> links_of(int size) {
  std::vector<Link> links;
  for (int a = 0; a < size; ++a)
    for (int b = a + 1; b < size; ++b)
      links.push_back({.a = a, .b = b, .seconds = 2e-5, .bytes_per_second = 9e8});
  return links;
}

TEST(Links, ASlowPairIsNamedAndFastOnesAreNot) {
  const std::vector<std::string> hosts{"a", "b", "c", "d"};
  std::vector<Link> links = links_of(4);
  EXPECT_EQ(verdict_on_links(links, hosts).at(0).verdict.status, Status::ok);
  links[4].bytes_per_second = 4e7;  // 1 and 3
  const Lines slow = verdict_on_links(links, hosts);
  ASSERT_EQ(slow.size(), 1U);
  EXPECT_EQ(slow[0].verdict.status, Status::warning);
  EXPECT_THAT(slow[0].verdict.found, HasSubstr("rank 1 (b) <-> rank 3 (d)"));
  EXPECT_THAT(slow[0].verdict.found, HasSubstr("40 MB/s"));
  links[4] = {.a = 1, .b = 3, .seconds = 5e-3, .bytes_per_second = 9e8};
  EXPECT_EQ(verdict_on_links(links, hosts).at(0).verdict.status, Status::warning);
}

TEST(Links, AHostIsNotSlowForBeingAwayFromAnother) {
  std::vector<Link> links = links_of(4);  // two hosts of two
  for (Link& l : links)
    if (l.a / 2 == l.b / 2) l.bytes_per_second = 2e10;
  for (const Line& line : verdict_on_links(links, {"a", "a", "b", "b"}))
    EXPECT_EQ(line.verdict.status, Status::ok);
}

TEST(Ports, OwnListenersAreFoundAndOpenOnesSaidToBeOpen) {
  const Listener mine = listen_at("127.0.0.1");
  ASSERT_GE(mine.fd, 0);
  const std::string address = fmt::format("127.0.0.1:{}", mine.port);
  EXPECT_THAT(listening(), testing::Contains(address));
  close(mine.fd);
  EXPECT_THAT(listening(), testing::Not(testing::Contains(address)));
  const std::vector<std::string> hosts = {"a", "b"}, doors = {"10.0.0.1:50"};
  const std::string closed = verdict_on_ports({{"127.0.0.1:7"}, {"[::1]:8"}}, doors, hosts).found;
  EXPECT_THAT(closed, HasSubstr("watchdogs: 10.0.0.1:50 (a token, closed"));
  EXPECT_THAT(closed, testing::Not(HasSubstr("password")));
  const std::string open = verdict_on_ports({{}, {"0.0.0.0:1024"}}, doors, hosts).found;
  EXPECT_THAT(open, HasSubstr("rank 1 (b): 0.0.0.0:1024; these"));
  EXPECT_THAT(open, HasSubstr("OMPI_MCA_btl_tcp_if_include"));
}

TEST(Clocks, MoreThanASecondApartIsWrongEitherWay) {
  EXPECT_EQ(verdict_on_clocks({0, 0.9, -0.9}, {"a", "b", "c"}).status, Status::ok);
  for (const double off : {1.5, -1.5}) {
    const Verdict v = verdict_on_clocks({0, 0, off}, {"a", "b", "c"});
    EXPECT_EQ(v.status, Status::warning);
    EXPECT_THAT(v.found, HasSubstr("rank 2 (c)"));
  }
}

TEST(WorldSize, WhatTheLauncherSaysMustBeWhatThereIs) {
  using Environment = std::map<std::string, const char*>;
  const auto judge = [](std::vector<std::string> hosts, const Environment& environment, int64_t local = 0) {
    return verdict_on_world(hosts, local, launcher([&](const char* name) {
                              const auto found = environment.find(name);
                              return found == environment.end() ? nullptr : found->second;
                            }));
  };
  EXPECT_EQ(judge({"a"}, {}).status, Status::ok);
  EXPECT_EQ(judge({"a", "a"}, {{"OMPI_COMM_WORLD_SIZE", "2"}, {"SLURM_NTASKS", "2"}}).status, Status::ok);
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    const Verdict v = judge({"a"}, {{name, "4"}, {"SLURM_NTASKS", "4"}});
    EXPECT_EQ(v.status, Status::failure);
    EXPECT_THAT(v.found, HasSubstr(std::string("MPI has 1 rank (a: 1), but ") + name + "=4"));
  }
  // mpirun in a job of more tasks, plain in its batch shell, and on the second host of a job, where mpirun's
  // daemons are srun's tasks.
  EXPECT_EQ(judge({"a", "a"}, {{"OMPI_COMM_WORLD_SIZE", "2"}, {"SLURM_NTASKS", "4"}}).status,
            Status::warning);
  EXPECT_EQ(judge({"a"}, {{"SLURM_NTASKS", "4"}, {"SLURM_LOCALID", "0"}}).status, Status::warning);
  EXPECT_EQ(judge({"a", "a", "b", "b"},
                  {{"OMPI_COMM_WORLD_SIZE", "4"},
                   {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                   {"SLURM_STEP_NUM_TASKS", "2"},
                   {"SLURM_LOCALID", "0"},
                   {"SLURM_NTASKS", "4"}},
                  1)
                .status,
            Status::ok);
  const Verdict moved = judge({"a", "a"}, {{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_LOCALID", "0"}}, 1);
  EXPECT_EQ(moved.status, Status::failure);
  EXPECT_THAT(moved.found, HasSubstr("number 1 of its host, but SLURM_LOCALID=0"));
}

TEST(Cores, SharingIdlingAndQuotasAreSeen) {
  const auto rank = [](std::vector<int> cores, int64_t threads, double quota = 0) {
    return Binding{.host = "a", .cores = std::move(cores), .online = 4, .threads = threads, .quota = quota};
  };
  EXPECT_EQ(verdict_on_binding({rank({0, 1}, 2), rank({2, 3}, 2)}).status, Status::ok);
  EXPECT_EQ(verdict_on_binding({rank({0, 1, 2, 3}, 2), rank({0, 1, 2, 3}, 2)}).status, Status::ok);
  EXPECT_THAT(verdict_on_binding({rank({0, 1}, 2), rank({0, 1}, 2)}).found, HasSubstr("which they share"));
  EXPECT_THAT(verdict_on_binding({rank({0}, 1), rank({1}, 1)}).found, HasSubstr("idle"));
  EXPECT_THAT(verdict_on_binding({rank({0, 1, 2, 3}, 4, 1.5)}).found, HasSubstr("1.5 cores"));
}

TEST(DevicesOfRanks, EachNeedsOneOfItsOwn) {
  const auto rank = [](const char* host, int64_t local, int64_t count) {
    return Devices{.host = host, .local_rank = local, .count = count, .file = count > 0, .why = "no driver"};
  };
  EXPECT_EQ(verdict_on_devices({rank("a", 0, 0)}, "auto").status, Status::ok);
  EXPECT_EQ(verdict_on_devices({rank("a", 0, 0)}, "cuda").status, Status::failure);
  EXPECT_EQ(verdict_on_devices({rank("a", 0, 2), rank("a", 1, 2)}, "auto").status, Status::ok);
  const Verdict lacking = verdict_on_devices({rank("a", 0, 1), rank("b", 0, 0)}, "auto");
  EXPECT_EQ(lacking.status, Status::warning);
  EXPECT_THAT(lacking.found, HasSubstr("rank 1 (b)"));
  EXPECT_EQ(verdict_on_devices({rank("a", 0, 1), rank("a", 1, 1)}, "auto").status, Status::warning);
  EXPECT_EQ(verdict_on_devices({rank("a", 0, 1), rank("a", 1, 1)}, "cuda").status, Status::failure);
  EXPECT_EQ(verdict_on_devices({{.host = "a", .file = true, .why = "built without CUDA"}}, "auto").status,
            Status::warning);
}

TEST(NcclVersions, AnotherMajorVersionIsAnotherLibrary) {
  EXPECT_TRUE(same_nccl("CUDA 13.0, NCCL 2.28.9 (built with 2.27.3)"));
  EXPECT_FALSE(same_nccl("CUDA 13.0, NCCL 3.1.0 (built with 2.28.9)"));
  EXPECT_TRUE(same_nccl("none"));
}

TEST(MemoryShares, RanksShareWhatTheyShare) {
  const Memory together{
      .host = "a", .cgroup = "/job", .host_available = 8 * kGiB, .cgroup_available = 4 * kGiB};
  EXPECT_THAT(share_of_memory({together, together}), testing::ElementsAre(2 * kGiB, 2 * kGiB));
  Memory apart = together;
  apart.cgroup = "/task";
  EXPECT_THAT(share_of_memory({together, apart}), testing::ElementsAre(4 * kGiB, 4 * kGiB));
  apart.host = "b";
  apart.address_space = kGiB;
  EXPECT_THAT(share_of_memory({together, apart}), testing::ElementsAre(4 * kGiB, kGiB));
}

TEST(Footprints, AreComparedWithWhatIsAvailable) {
  const auto verdict = [](int64_t peak) {
    return verdict_on_footprint({.state = kGiB,
                                 .gradients = kGiB,
                                 .peak = peak,
                                 .samples = 8,
                                 .measured = true,
                                 .available = 10 * kGiB});
  };
  EXPECT_EQ(verdict(7 * kGiB).status, Status::ok);
  EXPECT_EQ(verdict(9 * kGiB).status, Status::warning);
  EXPECT_EQ(verdict(11 * kGiB).status, Status::failure);
  EXPECT_THAT(verdict(7 * kGiB).found, HasSubstr("measured"));
}

TEST(Room, BytesInodesAndKindOfDiskCount) {
  const FileSystem disk{.type = "ext4", .free = double(100 * kGiB), .inodes = 1000, .counts_inodes = true};
  EXPECT_EQ(verdict_on_room(disk, {.bytes = 99 * kGiB, .files = 900}).status, Status::ok);
  EXPECT_EQ(verdict_on_room(disk, {.bytes = 101 * kGiB, .files = 900}).status, Status::failure);
  EXPECT_EQ(verdict_on_room(disk, {.bytes = kGiB, .files = 1001}).status, Status::failure);
  FileSystem other = disk;
  other.counts_inodes = false;
  EXPECT_EQ(verdict_on_room(other, {.bytes = kGiB, .files = 1001}).status, Status::ok);
  other.read_only = true;
  EXPECT_EQ(verdict_on_room(other, {}).status, Status::failure);
}

TEST(SharedMemory, WhatNoProcessUsesAnyMoreIsSeen) {
  const fs::path folder = fs::path(testing::TempDir()) / fmt::format("saddle_segments_{}", ::getpid());
  fs::create_directories(folder);
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours(1);
  for (const char* name :
       {"vader_segment.left", "vader_segment.used", "vader_segment.new", "something.else"}) {
    write_file(folder / name, std::string(4096, 'x'));
    if (name != std::string("vader_segment.new")) fs::last_write_time(folder / name, old);
  }
  const int file = open((folder / "vader_segment.used").c_str(), O_RDONLY);
  void* const used = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0);
  EXPECT_EQ(abandoned_segments(folder), std::vector<std::string>{folder / "vader_segment.left"});
  munmap(used, 4096);
  close(file);
  EXPECT_EQ(abandoned_segments(folder).size(), 2U);
  fs::remove_all(folder);
}

TEST(RankNames, AreShort) {
  const std::vector<std::string> hosts{"a", "a", "a", "a", "b", "b", "b"};
  EXPECT_EQ(name_ranks({3}, hosts), "rank 3 (a)");
  EXPECT_EQ(name_ranks({0, 1, 2, 3, 4, 6}, hosts), "ranks 0-3 (a), 4, 6 (b)");
}

}  // namespace
}  // namespace saddle::doctor
