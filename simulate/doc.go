// Package simulate makes deterministic, labelled API traffic: a benign
// population of people and machines, and any attack of the catalogue among it.
//
//	g, err := simulate.New(simulate.Config{
//		Seed: 7, Duration: 24 * time.Hour, Clients: 2000,
//		Attacks: []simulate.AttackSpec{{Name: "scraping", Start: 9 * time.Hour}},
//	})
//	for ev := schemas.NewEvent(); g.Next(ev); { ... }
//	labels := g.Labels()
//
// # What is promised
//
// The stream is a function of the Config alone, for one version of this package
// on one processor architecture (floating point may round differently on
// another). Every agent draws from a generator of its own, so that
//
//   - adding, removing or changing attacks leaves every benign event as it was,
//     byte for byte;
//   - adding clients leaves the events of the first ones as they were (the names
//     that attackers try are drawn from the population, so theirs change);
//   - the order is by event time, then by agent, and never by chance.
//
// Labels name the client key under which the pipeline will see each hostile
// agent and the times of its first and last hostile call; they are found by
// running the attack's agents once when the Generator is made. An attacker who
// holds a valid account also leads that account's ordinary life from the start
// of the simulation, outside of the label's time as well as inside.
//
// Memory is about 0.5 KB for each client; the stream itself allocates nothing.
//
// # The worlds
//
// DefaultWorld has two APIs. "bank" puts the route template on its events: login,
// token refresh, summary, accounts, account by id, paged transactions, transfers
// (POST), payees, account verification (POST, the penny drop), statement
// downloads, cards, administration. "shop" leaves the template out, so that it
// has to be learnt from paths: catalogue, categories, search, product by id,
// reviews, recommendations, cart, checkout (POST), gift-card check (POST), orders
// by id, invoices, wishlist, administration. Anonymous visitors of the shop carry
// a session identifier. OtherWorld has the same two archetypes as "wallet" and
// "tickets" with other paths, id styles (UUID, codes), sizes, latencies and page
// graphs. A World is data; callers may bring their own.
//
// Sizes and latencies are lognormal for each route. Each API has bad spells of
// five minutes, about one a day, in which 7 % of calls fail and all take three
// times as long; otherwise 0.12 % of calls end in a 5xx or no response. Routes
// have shares of benign 304, 400, 401, 403, 404, 409, 422 and 429.
//
// # Benign classes
//
// Shares are of DefaultMix. A class's parameters are medians over its members,
// who differ by lognormal factors (sigma in brackets).
//
//	human      40 %  0.9 visits a day (1.0, at most 14), 5 pages a visit (.55 and
//	                 .7 between visits), 9 s a page (.5 and .95 between pages),
//	                 pages of 1 to 3 calls that are 90 ms apart. The bank is logged
//	                 into first, the shop when a page needs it (60 %). A login is
//	                 one unauthenticated call with the name tried; 3.5 % of visits
//	                 (.8) begin with 1 to 3 wrong passwords. 6 % of visits come from
//	                 another network, 0.4 % from a new device. Days follow the hours
//	                 of ten countries, each person up to 1.5 h early or late. One in
//	                 twelve uses both APIs. Forms (transfer, cart, checkout) are
//	                 sent after a pause: irregular POSTs.
//	mobile     20 %  An app: the token persists and is refreshed at a visit. Asks for
//	                 the summary in the background every 25 min (.6) +-18 %, rarely
//	                 at night; one visit in five leaves the app open, which then asks
//	                 every 20 s +-15 % some 15 times. 30 % of visits from another
//	                 network.
//	office     14 %  Like human by working hours; 30 to 80 people behind one address
//	                 with three browsers between them, behind a proxy that names the
//	                 inner address in X-Forwarded-For.
//	carrier    13 %  Like mobile, 120 to an address of a carrier.
//	forgetful   4 %  Like human; 15 % of logins with a typing error and 35 % with a
//	                 forgotten password: 1 to 6 failures, after which one in four
//	                 gives up.
//	traveller   3 %  Like human; 35 % of visits from another network, half of these
//	                 in another country, 10 % from a new device.
//	partner     2 %  An application (consumer, API key). Walks 900 (.9, 100 to 8000)
//	                 objects of its own between 0 and 5 h local time, 0.45 s (.6)
//	                 apart, by adjacent ids for four in ten, and retries failures; six in ten
//	                 synchronise every 5, 15, 30 or 60 min +-0.4 to 6 %; half post a
//	                 daily batch of 45 (.8) calls 1.1 s (.6) apart; all call on
//	                 demand by working hours, every 900 s (.9).
//	job         3 %  A script that posts every 10, 15, 20, 30, 60 or 120 min with a
//	                 lognormal jitter of .22 to .6 and 5 to 25 % of runs left out,
//	                 for 6 to 13 hours of the day.
//	crawler   0.5 %  Reads catalogue and products in no order, 4 s (.8) apart, some
//	                 350 (.7) at a time with hours of rest; 5 to 10 % dead links.
//	probe     0.5 %  GET of the health route every 15, 30 or 60 s exactly, seen with
//	                 a few milliseconds of delay.
//
// # Attacks
//
// Intensity i divides all gaps and multiplies the number of calls by its square
// root. Below 1, a share of min(0.6, 0.7(1-i)) of the calls are ordinary ones
// with ordinary answers (for logins: successful ones to an own account; none for
// extreme-client and the thin stuffing). Gaps are lognormal. Figures are for
// i = 1; the first variant is the default.
//
//	credential-stuffing  single       400 logins, another name each time (60 % of
//	                                  them of the population), 1.2 s apart, 1 to 3 %
//	                                  succeed, from a hosting provider.
//	                     distributed  40 sources in 40 networks with 25 to 60 logins
//	                                  each, 60 s apart, beginning within 10 min; few
//	                                  fingerprints; 30 % claim a false forwarder.
//	                     thin         600 sources with 2 to 4 logins each, within an
//	                                  hour.
//	slow-login-attack    list         150 logins 6 min apart (sigma .8), 0.4 % succeed.
//	                     one-user     The same against one name, 0.2 %.
//	object-enumeration   sequential   A user asks for 300 objects by rising or falling
//	                                  id, 1.5 s apart; 15 to 60 % are given away,
//	                                  5 to 25 % do not exist, the rest are refused.
//	                     random       Ids drawn from the whole space; 30 to 60 % absent.
//	scraping             user         A user takes the catalogue page by page and
//	                                  product by product, 1500 calls 1 s apart (sigma
//	                                  .15), all successful.
//	                     ip           The same without any identity but an address.
//	probing              paths        250 calls for what scanners look for, 0.5 s
//	                                  apart; 404, 403, 400, 405, few 200.
//	                     fuzz         Real routes with wrong methods and parameters.
//	slow-probing         paths        100 such calls, 7 min apart (sigma .8).
//	function-probing     user         A user tries administrators' routes 60 times,
//	                                  8 s apart.
//	extreme-client       user         4000 valid calls 0.1 s apart: about 50 times the
//	                                  pace of a person inside a visit.
//	                     consumer     The same as an application.
//	interval-abuse       user         80 verification POSTs every 45 s +-10 %, 15 % of
//	                                  beats left out, 93 % successful.
//	                     consumer     The same as an application.
//	data-exfiltration    user         500 downloads of objects of the whole population,
//	                                  4 s apart, all successful.
//
// # Addresses
//
// Nothing points at anybody: homes are in 240.0.0.0/5 and 2001:db8::/32, offices
// in 248.0.0.0/8, crawlers in 249.0.0.0/8, attackers in 250.0.0.0/7 and
// 252.0.0.0/7, partners in 198.18.0.0/15, carriers in 100.64.0.0/10, probes in
// 10.20.0.0/16. Autonomous system numbers are of the private range.
package simulate
