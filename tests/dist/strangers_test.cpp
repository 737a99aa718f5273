// The watchdog's port before strangers: nothing that they send ends the job, delays it, or passes for a rank.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <thread>

#include "dist/line_socket.h"
#include "dist/watch.h"

namespace saddle {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Gt;
using testing::Le;
using testing::SizeIs;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Rank 0 of two, of which the test is the other.
class Strangers : public testing::Test {
 protected:
  void SetUp() override {
    hub_ = std::make_unique<Watch>(0, 2, "host", [this](const std::string& mine) {
      const json told = json::parse(mine, nullptr, false);
      if (told.is_object() && told.contains("token")) said_ = told;
      return std::vector<std::string>{mine, mine.empty() || told.contains("token") ? "" : mine};
    });
    ASSERT_THAT(said_["doors"], SizeIs(1));
    EXPECT_EQ(said_["doors"][0]["address"], "127.0.0.1");  // both ranks are on this host
  }

  LineSocket connect() const {
    return LineSocket::connect("127.0.0.1", said_["doors"][0]["port"].get<uint16_t>(), 3);
  }
  // A stranger that has sent these bytes.
  LineSocket stranger(const std::string& bytes) const {
    LineSocket made = connect();
    EXPECT_TRUE(made.open());
    EXPECT_EQ(::send(made.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL), ssize_t(bytes.size()));
    return made;
  }
  static double seconds_until_closed(LineSocket& line, double most) {
    const auto start = Clock::now();
    while (line.open() && since(start) < most)
      if (readable(line.fd(), 0.05)) line.receive();
    return since(start);
  }
  // The signs of life that rank 1 hears within a second, once it has said who it is.
  size_t signs(LineSocket& rank1) const {
    rank1.send({{"kind", "hello"}, {"token", said_["token"]}, {"rank", 1}});
    size_t heard = 0;
    for (const auto start = Clock::now(); rank1.open() && since(start) < 1;)
      if (readable(rank1.fd(), 0.05)) heard += rank1.receive().size();
    rank1.send({{"kind", "bye"}});
    return heard;
  }
  void TearDown() override {
    LineSocket rank1 = connect();
    if (rank1.open()) {
      EXPECT_GT(signs(rank1), 0U);  // the hub still lives, and lets a rank in
    }
    hub_.reset();
  }

  json said_;
  std::unique_ptr<Watch> hub_;
};

TEST_F(Strangers, WhateverTheySayInPlaceOfAGreetingOnlyTheirConnectionEnds) {
  const std::string token = said_["token"];
  const std::string deep = std::string(2000, '[') + std::string(2000, ']');
  for (const std::string& line :
       {std::string(R"({"rank":"x"})"), std::string(R"({"rank":1,"token":7})"), std::string("garbage"),
        std::string("\n\n\n\n"), deep, R"({"rank":)" + deep + "}", std::string("null"), std::string("[]"),
        std::string("\xff\xfe\0", 3), R"({"rank":1e300,"token":")" + token + R"("})",
        R"({"rank":1.5,"token":")" + token + R"("})", R"({"rank":-1,"token":")" + token + R"("})",
        R"({"rank":2,"token":")" + token + R"("})",
        R"({"rank":18446744073709551615,"token":")" + token + R"("})",
        std::string(R"({"rank":1,"token":""})"), R"({"rank":1,"token":")" + token.substr(1) + R"("})"}) {
    LineSocket made = stranger(line + "\n");
    EXPECT_LT(seconds_until_closed(made, 3), 0.7) << line.substr(0, 60);
  }
}

TEST_F(Strangers, HalfALineOrNothingIsHeardForASecond) {
  for (const char* bytes : {"", "{\"rank\":1,"}) {
    LineSocket made = stranger(bytes);
    EXPECT_THAT(seconds_until_closed(made, 5), AllOf(Gt(0.5), Le(2.5)));
  }
}

TEST_F(Strangers, ALineOfMoreThanFourKibibytesIsNotReadToItsEnd) {
  LineSocket made = stranger(std::string(5000, 'a'));
  EXPECT_LT(seconds_until_closed(made, 3), 0.7);
}

// The rank is let in while silent connections crowd the door, and the hub does not wait for one of them.
TEST_F(Strangers, ACrowdThatSaysNothingKeepsNobodyOut) {
  std::vector<LineSocket> crowd;
  for (int i = 0; i < 300; ++i) crowd.push_back(connect());
  const auto start = Clock::now();
  LineSocket rank1 = connect();
  EXPECT_GT(signs(rank1), 2U);
  EXPECT_LT(since(start), 2);
  EXPECT_FALSE(connect().open());  // all ranks are there: nobody else is let in
}

TEST_F(Strangers, FloodsOfLinesAreReadNoFurtherThanTheFirst) {
  const std::string newlines(1 << 20, '\n');
  std::vector<LineSocket> made;
  for (int i = 0; i < 10; ++i) {
    made.push_back(connect());
    ::send(made.back().fd(), newlines.data(), newlines.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  const auto start = Clock::now();
  LineSocket rank1 = connect();
  EXPECT_GT(signs(rank1), 2U);
  EXPECT_LT(since(start), 2);
}

TEST(LineSocket, SecretsAreComparedWhole) {
  EXPECT_TRUE(same_secret("0a1b", "0a1b"));
  for (const char* other : {"0a1c", "1a1b", "0a1", "0a1b0", ""})
    EXPECT_FALSE(same_secret("0a1b", other)) << other;
}

TEST(LineSocket, AnswersOnlyWithWhatIsThereAndOfTheType) {
  const json message = {
      {"n", 3}, {"big", 18446744073709551615U}, {"x", 0.5}, {"t", "text"}, {"null", nullptr}};
  EXPECT_EQ(maybe_integer(message, "n"), 3);
  for (const char* key : {"big", "x", "t", "null", "none"})
    EXPECT_EQ(maybe_integer(message, key), std::nullopt) << key;
  EXPECT_EQ(maybe_number(message, "x"), 0.5);
  EXPECT_EQ(maybe_number(message, "t"), std::nullopt);
  EXPECT_EQ(maybe_text(message, "t"), "text");
  EXPECT_EQ(maybe_text(message, "n"), std::nullopt);
}

}  // namespace
}  // namespace saddle
