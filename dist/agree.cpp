#include "dist/agree.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "dist/file.h"

namespace saddle {
namespace {

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

// Where the ranks part: the value of most ranks at the first differing line, another one, and who holds it.
struct Difference {
  std::string most, other;
  std::vector<int> ranks;
};

Difference first_difference(const std::vector<std::string>& texts) {
  std::vector<std::vector<std::string>> all;
  size_t longest = 0;
  for (const std::string& text : texts) {
    all.push_back(lines(text));
    longest = std::max(longest, all.back().size());
  }
  for (size_t i = 0; i < longest; ++i) {
    std::map<std::string, std::vector<int>> holders;
    for (size_t r = 0; r < all.size(); ++r)
      holders[i < all[r].size() ? all[r][i] : "(nothing)"].push_back(static_cast<int>(r));
    if (holders.size() == 1) continue;
    // Of equally many, rank 0's side counts as the majority.
    const auto most = std::max_element(holders.begin(), holders.end(), [](const auto& a, const auto& b) {
      return std::pair(a.second.size(), -a.second[0]) < std::pair(b.second.size(), -b.second[0]);
    });
    const auto other = std::find_if(holders.begin(), holders.end(),
                                    [&](const auto& holder) { return holder.first != most->first; });
    return {most->first, other->first, other->second};
  }
  return {"the same lines", "other line ends", {1}};
}

std::string names(const std::vector<int>& ranks, const std::vector<std::string>& hosts) {
  std::string text;
  for (const int r : ranks) text += fmt::format("{}rank {} ({})", text.empty() ? "" : ", ", r, hosts[r]);
  return text;
}

// Throws what `message` makes of the first difference, if there is one.
template <class Message>
void compare(const Comm& comm, const std::string& what, const std::string& mine, Exit kind, Message message) {
  const std::vector<std::string> all = comm.all_gather_text(mine, what);
  if (std::count(all.begin(), all.end(), all[0]) == comm.size()) return;
  const std::vector<std::string> hosts = comm.all_gather_text(comm.host(), what);
  const Difference difference = first_difference(all);
  Error error(kind, message(difference, names(difference.ranks, hosts)));
  error.everywhere = comm.whole();
  throw error;
}

}  // namespace

void require_same(const Comm& comm, const std::string& what, const std::string& mine, Exit kind) {
  compare(comm, what, mine, kind, [&](const Difference& d, const std::string& who) {
    return fmt::format("all ranks must be started with the same {}: '{}' on {}, '{}' on the others", what,
                       d.other, who, d.most);
  });
}

void require_same_state(const Comm& comm, const Visit& state) {
  if (comm.size() == 1) return;
  const std::vector<Item> items = digests(state);
  std::string text;
  for (const Item& item : items) text += fmt::format("{} {:016x}\n", item.name, item.digest);
  const auto all = comm.all_gather_text(hash_text(text), "digest");
  if (std::count(all.begin(), all.end(), all[0]) == comm.size()) return;
  compare(comm, "digest", text, Exit::bug, [](const Difference& d, const std::string& who) {
    return fmt::format(
        "the replicas have drifted apart: {} of {} is not what the other ranks hold. A bad "
        "memory or device, or state that depends on the rank; resume from the last checkpoint",
        d.other.substr(0, d.other.find(' ')), who);
  });
}

}  // namespace saddle
