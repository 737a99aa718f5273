#include "launch/doctor/network.h"

#include <algorithm>
#include <cmath>

#include "dist/error.h"
#include "dist/trace.h"

namespace saddle::doctor {
namespace {

using nlohmann::json;

// Each collective once in one dtype, with values that tell whose contribution is missing.
void try_collectives(const Comm& comm, torch::ScalarType dtype) {
  const int64_t n = comm.size(), length = 1000;
  const auto options = torch::TensorOptions().dtype(dtype).device(comm.device());
  const auto expect = [&](const torch::Tensor& found, const torch::Tensor& expected, const char* what) {
    require(torch::equal(found.cpu(), expected.cpu()), Exit::io, "{} of {} gives wrong values", what,
            torch::toString(dtype));
  };
  torch::Tensor sum = torch::full({length}, comm.rank() + 1, options);
  comm.all_reduce(sum);
  expect(sum, torch::full({length}, n * (n + 1) / 2, options), "all-reduce");
  torch::Tensor sent = torch::full({length}, comm.rank() + 7, options);
  comm.broadcast(sent, int(n - 1));
  expect(sent, torch::full({length}, n - 1 + 7, options), "broadcast");
  const torch::Tensor gathered = comm.all_gather(torch::full({length}, comm.rank(), options));
  expect(gathered, torch::arange(n, options).unsqueeze(1).expand({n, length}), "all-gather");
}

Lines try_on(const Comm& control, const std::string& name, const std::function<Comm()>& connect) {
  constexpr const char* kAdvice =
      "mpirun --mca btl_tcp_if_include IFACE and NCCL_SOCKET_IFNAME=IFACE choose the network; "
      "NCCL_DEBUG=INFO says what NCCL does";
  const Answers answers = ask_together(control, name, [&]() -> json {
    const double begin = trace::now();
    const Comm comm = connect();
    for (const auto dtype : {torch::kFloat, torch::kDouble, torch::kLong}) try_collectives(comm, dtype);
    return trace::now() - begin;
  });
  return all(name, answers, kAdvice, [](const Answers& of_ranks) -> Verdict {
    double slowest = 0;
    for (const Answer& a : of_ranks) slowest = std::max(slowest, a.facts.get<double>());
    return {Status::ok, fmt::format("all-reduce, broadcast and all-gather of float32, float64 and int64 are "
                                    "right; the first took {:.0f} ms",
                                    slowest * 1e3)};
  });
}

std::string text_of_rate(double bytes_per_second) {
  return bytes_per_second >= 1e9 ? fmt::format("{:.1f} GB/s", bytes_per_second / 1e9)
                                 : fmt::format("{:.0f} MB/s", bytes_per_second / 1e6);
}

template <class Key>
double median(const std::vector<Link>& links, Key key) {
  std::vector<double> values;
  for (const Link& link : links) values.push_back(key(link));
  std::nth_element(values.begin(), values.begin() + int64_t(values.size() / 2), values.end());
  return values[values.size() / 2];
}

Lines verdict_on_kind(const std::string& check, const std::vector<Link>& links,
                      const std::vector<std::string>& hosts) {
  constexpr size_t kNamed = 5;
  if (links.empty()) return {};
  const double rate = median(links, [](const Link& l) { return l.bytes_per_second; });
  const double trip = median(links, [](const Link& l) { return l.seconds; });
  std::vector<Link> slow;
  for (const Link& link : links)
    if (link.bytes_per_second < rate / 4 || (link.seconds > trip * 10 && link.seconds > 1e-3))
      slow.push_back(link);
  const auto n = int64_t(links.size());
  const std::string usual = fmt::format("median {:.0f} us round trip, {}", trip * 1e6, text_of_rate(rate));
  if (slow.empty() || n < 3)
    return {{check, {Status::ok, fmt::format("{} pair{}: {}", n, plural(n), usual)}}};
  std::sort(slow.begin(), slow.end(),
            [](const Link& a, const Link& b) { return a.bytes_per_second < b.bytes_per_second; });
  Lines lines;
  for (size_t i = 0; i < std::min(kNamed, slow.size()); ++i)
    lines.push_back({check,
                     {Status::warning,
                      fmt::format("{} <-> {}: {:.0f} us round trip, {}; {} of {} pairs",
                                  name_ranks({slow[i].a}, hosts), name_ranks({slow[i].b}, hosts),
                                  slow[i].seconds * 1e6, text_of_rate(slow[i].bytes_per_second), usual, n),
                      "one slow pair slows every all-reduce: look at cable, port and interface of the hosts "
                      "that the slow pairs have in common, or leave those out"}});
  if (slow.size() > kNamed)
    lines.back().verdict.found += fmt::format("; and {} more slow pairs", slow.size() - kNamed);
  return lines;
}

std::vector<std::string> hosts_of(const Comm& comm) {
  return comm.all_gather_text(comm.host(), "hosts");
}

}  // namespace

Lines check_collectives(World& world, const Comm& comm, const std::string& device) {
  if (comm.size() == 1) return {};
  Lines lines = try_on(comm, "MPI", [&] { return comm; });
  if (device == "cpu") return lines;
  bool cuda = false;
  const Lines nccl = try_on(comm, "NCCL", [&] {
    const Comm found = world.comm(device);
    cuda = found.device().is_cuda();
    return found;
  });
  const bool failed =
      std::any_of(nccl.begin(), nccl.end(), [](const Line& l) { return l.verdict.status != Status::ok; });
  return cuda || failed ? join({lines, nccl}) : lines;
}

Lines verdict_on_links(const std::vector<Link>& links, const std::vector<std::string>& hosts) {
  std::vector<Link> within, between;
  for (const Link& link : links)
    (hosts[size_t(link.a)] == hosts[size_t(link.b)] ? within : between).push_back(link);
  return join(
      {verdict_on_kind("within a host", within, hosts), verdict_on_kind("between hosts", between, hosts)});
}

Lines check_links(const Comm& comm, bool quick) {
  if (comm.size() == 1) return {};
  const Answers answers = ask_together(comm, "links", [&] {
    json links = json::array();
    for (const Link& l : pairwise(comm, quick ? 5 : 20))
      links.push_back({l.a, l.b, l.seconds, l.bytes_per_second});
    return links;
  });
  const Lines broken = errors("links", answers, "see what MPI printed");
  if (!broken.empty()) return broken;
  std::vector<Link> links;
  for (const json& l : answers[0].facts)
    links.push_back({.a = l[0], .b = l[1], .seconds = l[2], .bytes_per_second = l[3]});
  return verdict_on_links(links, hosts_of(comm));
}

Verdict verdict_on_clocks(const std::vector<double>& offsets, const std::vector<std::string>& hosts) {
  constexpr double kTolerated = 1;
  std::vector<int> wrong;
  double worst = 0;
  for (size_t r = 0; r < offsets.size(); ++r) {
    worst = std::max(worst, std::abs(offsets[r]));
    if (std::abs(offsets[r]) > kTolerated) wrong.push_back(int(r));
  }
  if (wrong.empty())
    return {Status::ok, fmt::format("within {:.2g} ms of rank 0", std::max(worst * 1e3, 0.01))};
  return {Status::warning,
          fmt::format("{} up to {:.1f} s off rank 0's clock", name_ranks(wrong, hosts), worst),
          "set the clocks by NTP on those hosts (chronyc tracking, timedatectl): times in logs and of files "
          "contradict each other"};
}

Lines check_clocks(const Comm& comm) {
  if (comm.size() == 1) return {};
  const Answers answers = ask_together(comm, "clocks", [&] { return json(clock_offsets(comm)); });
  const Lines broken = errors("clocks", answers, "see what MPI printed");
  if (!broken.empty()) return broken;
  return {{"clocks", verdict_on_clocks(answers[0].facts, hosts_of(comm))}};
}

}  // namespace saddle::doctor
