#include "data/pack/texts/sequences.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <unordered_map>

#include "data/pack/files/room.h"
#include "data/pack/files/text_file.h"
#include "data/tokens.h"
#include "dist/error.h"
#include "dist/log.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

// The lines of a file, without their ends.
class Lines {
 public:
  explicit Lines(const std::string& path) : path_(path), file_(path) {}

  bool next(std::string& line) {
    line.clear();
    for (;;) {
      const size_t end = piece_.find('\n', at_);
      line.append(piece_, at_, end == std::string::npos ? end : end - at_);
      require(line.size() <= kLongest, Exit::data, "{}:{}: longer than {} bytes; is it a text?", path_,
              number_ + 1, kLongest);
      at_ = end == std::string::npos ? piece_.size() : end + 1;
      if (end != std::string::npos) break;
      at_ = 0;
      if (file_.read(piece_)) continue;
      if (line.empty()) return false;
      break;
    }
    ++number_;
    return true;
  }

  int64_t number() const { return number_; }  // of the line last read

 private:
  static constexpr size_t kLongest = 1 << 20;

  std::string path_;
  TextFile file_;
  std::string piece_;
  size_t at_ = 0;
  int64_t number_ = 0;
};

// The samples of a file in order, as tokens; forwards only.
class Reader {
 public:
  Reader(const std::string& path, const Sequences& how, int64_t length)
      : text_(how.open(path)), how_(how), length_(size_t(length)) {}

  bool next() {
    while (text_(line_, number_)) {
      tokens_ = how_.tokenize(line_);
      whole_ = length_ == 0 || tokens_.list.size() < length_;  // with its end
      if (whole_ || tokens_.problem) return true;
      ++longer_;
      if (how_.drop_longer) continue;
      tokens_.list.resize(length_);
      return true;
    }
    return false;
  }

  const Tokens& tokens() const { return tokens_; }
  bool whole() const { return whole_; }
  int64_t length() const { return int64_t(tokens_.list.size()) + (whole_ ? 1 : 0); }
  int64_t longer() const { return longer_; }
  int64_t number() const { return number_; }

 private:
  NextText text_;
  Sequences how_;
  size_t length_;
  std::string line_;
  Tokens tokens_;
  bool whole_ = true;
  int64_t longer_ = 0, number_ = 0;
};

struct Hash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
template <class T>
using ByText = std::unordered_map<std::string, T, Hash, std::equal_to<>>;

struct Survey {
  int64_t count = 0, longest = 0, longer = 0;
  ByText<int64_t> frequencies;
};

Survey survey(Reader reader, const PackRequest& request) {
  constexpr double kEntry = 100;  // beside the bytes of a token
  Survey out;
  double bytes = 0;
  while (reader.next()) {
    ++out.count;
    if (reader.tokens().problem) continue;
    out.longest = std::max(out.longest, reader.length());
    for (const std::string_view token : reader.tokens().list)
      if (const auto found = out.frequencies.find(token); found != out.frequencies.end())
        ++found->second;
      else
        out.frequencies.emplace(token, 1), bytes += double(token.size()) + kEntry;
    require_room(request.source, fmt::format("{} different tokens", out.frequencies.size()), bytes,
                 request.most_bytes());
  }
  out.longer = reader.longer();
  return out;
}

std::vector<std::string> vocabulary_of(const Survey& survey, int64_t most) {
  std::vector<std::pair<int64_t, std::string>> found;
  for (const auto& [token, times] : survey.frequencies) found.emplace_back(-times, token);
  std::sort(found.begin(), found.end());
  if (most > 0 && most < int64_t(found.size())) found.resize(size_t(most));
  std::vector<std::string> out(kReserved.begin(), kReserved.end());
  for (auto& [times, token] : found) out.push_back(std::move(token));
  return out;
}

struct Text {
  std::string path;
  Sequences how;
  int64_t length = 0;
  ByText<int32_t> ids = {};
  std::optional<Reader> reader = {};
  int64_t next = 0;  // sample that the reader comes to

  Batch sample(int64_t i) {
    if (!reader || i < next) reader.emplace(path, how, length), next = 0;
    for (; next <= i; ++next)
      require(reader->next(), Exit::data, "{}: changed while it was packed: sample {} is gone", path, i);
    const Tokens& tokens = reader->tokens();
    if (tokens.problem)
      fail(Exit::data, "{}:{}: byte {}: {}", path, reader->number(), tokens.at + 1, tokens.problem);
    torch::Tensor x = torch::empty({1, reader->length()}, torch::kInt);
    auto* to = x.data_ptr<int32_t>();
    for (const std::string_view token : tokens.list) {
      const auto found = ids.find(token);
      *to++ = found == ids.end() ? int32_t{kUnknown} : found->second;
    }
    if (reader->whole()) *to = kEnd;
    return {{"x", x}};
  }
};

void note_longer(Source& source, const Survey& found, const Sequences& how, int64_t length) {
  const char* what = how.drop_longer ? "dropped" : "truncated";
  source.provenance[what] = found.longer;
  if (found.longer > 0)
    log::warn("{} of {} lines are longer than {} tokens: {}", found.longer,
              found.count + (how.drop_longer ? found.longer : 0), length, what);
}

}  // namespace

NextText lines_of(const std::string& path) {
  return [lines = std::make_shared<Lines>(path)](std::string& line, int64_t& number) {
    const bool more = lines->next(line);
    number = lines->number();
    return more;
  };
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\v\f") == std::string_view::npos;
}

Source open_sequences(const PackRequest& request, const Sequences& how) {
  require(request.length >= 0 && request.vocabulary >= 0, Exit::usage,
          "--length and --vocabulary: expected at least 1, found {} and {}", request.length,
          request.vocabulary);
  auto text = std::make_shared<Text>(Text{.path = fs::absolute(request.source).lexically_normal().string(),
                                          .how = how,
                                          .length = request.length});
  const Survey found = survey(Reader(text->path, how, request.length), request);
  require(found.count > 0 && found.longest > 0, Exit::data, "{}: has no line to pack", text->path);
  const auto vocabulary = vocabulary_of(found, request.vocabulary);
  for (size_t i = kReserved.size(); i < vocabulary.size(); ++i) text->ids.emplace(vocabulary[i], int32_t(i));

  Source source{.count = found.count, .serial = true};
  source.schema.fields.push_back({.name = "x",
                                  .shape = {found.longest},
                                  .dtype = torch::kInt,
                                  .classes = int64_t(vocabulary.size()),
                                  .class_names = vocabulary,
                                  .variable = true});
  source.sample = [text](int64_t i) { return text->sample(i); };
  source.provenance = {{"source", text->path}, {"bytes", fs::file_size(text->path)}};
  if (request.length > 0) note_longer(source, found, how, request.length);
  return source;
}

}  // namespace saddle
