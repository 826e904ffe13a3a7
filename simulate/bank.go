package simulate

// Shares of unlucky answers that well-meaning clients get, by kind of route.
// Server errors come on top of these (see outcome).
var (
	readErrors  = []StatusShare{{304, .06}, {401, .004}, {403, .0015}, {429, .0004}}
	itemErrors  = []StatusShare{{304, .08}, {404, .008}, {401, .004}, {403, .002}}
	writeErrors = []StatusShare{{400, .012}, {422, .014}, {401, .004}, {409, .003}, {403, .001}}
	publicRead  = []StatusShare{{304, .12}, {404, .012}, {400, .001}, {429, .0004}}
	refused     = []StatusShare{{403, .9}, {404, .06}, {401, .04}}
)

func bankAPI() API {
	return API{
		Name: "bank", Version: "v1", Host: "api.bank.example", Gateway: "kong",
		Templates: true, TokenTTL: 900,
		Objects: []Objects{
			{Name: "accountId", Style: IDInt, Base: 40_000_000, PerUser: 4},
			{Name: "statementId", Style: IDInt, Base: 700_000_000, PerUser: 36},
			{Name: "userId", Style: IDInt, Base: 1000, Count: 100_000},
			{Name: "payeeId", Style: IDInt, Base: 90_000_000, PerUser: 8},
		},
		Routes: []Route{
			{Role: RoleLogin, Method: "POST", Path: "/v1/login", Errors: []StatusShare{{400, .003}}, Request: LogNormal{96, .12}, Reply: LogNormal{880, .05}, Latency: LogNormal{140_000, .35}},
			{Role: RoleRefresh, Method: "POST", Path: "/v1/token/refresh", Errors: []StatusShare{{401, .006}}, Request: LogNormal{410, .04}, Reply: LogNormal{840, .04}, Latency: LogNormal{31_000, .4}},
			{Role: RoleReset, Method: "POST", Path: "/v1/password/reset", OK: 202, Errors: []StatusShare{{429, .01}}, Request: LogNormal{64, .15}, Reply: LogNormal{40, .05}, Latency: LogNormal{90_000, .4}},
			{Role: RoleHealth, Method: "GET", Path: "/health", Reply: LogNormal{15, 0}, Latency: LogNormal{900, .3}},
			{Role: RoleSummary, Method: "GET", Path: "/v1/summary", Errors: readErrors, Reply: LogNormal{1300, .25}, Latency: LogNormal{38_000, .45}},
			{Role: RoleList, Method: "GET", Path: "/v1/accounts", Errors: readErrors, Reply: LogNormal{1700, .4}, Latency: LogNormal{42_000, .45}},
			{Role: RoleItem, Method: "GET", Path: "/v1/accounts/{accountId}", Errors: itemErrors, Reply: LogNormal{920, .2}, Latency: LogNormal{27_000, .45}},
			{Role: RoleHistory, Method: "GET", Path: "/v1/accounts/{accountId}/transactions", Query: "page={page}&limit=50&sort={-date|date|-amount}", Errors: itemErrors, Reply: LogNormal{14_500, .55}, Latency: LogNormal{85_000, .5}},
			{Role: RoleSubmit, Method: "POST", Path: "/v1/transfers", Body: `{"from":{accountId},"to":"P-{number}","amount":{amount},"currency":"{EUR|EUR|USD|GBP}","reference":"{text}","device":"{rest}"}`, OK: 201, Errors: writeErrors, Request: LogNormal{340, .2}, Reply: LogNormal{520, .15}, Latency: LogNormal{210_000, .45}},
			{Role: RoleParties, Method: "GET", Path: "/v1/payees", Errors: readErrors, Reply: LogNormal{2600, .7}, Latency: LogNormal{33_000, .4}},
			{Role: RoleAddParty, Method: "POST", Path: "/v1/payees", Body: `{"name":"{text}","account":"{number}","bank":"{NORD|SUED|WEST|OSTB}","nonce":"{rest}"}`, OK: 201, Errors: writeErrors, Request: LogNormal{220, .2}, Reply: LogNormal{310, .1}, Latency: LogNormal{60_000, .4}},
			{Role: RoleVerify, Method: "POST", Path: "/v1/account-verification", Body: `{"account":"{number}","bank":"{NORD|SUED|WEST|OSTB}","amount":0.01,"nonce":"{rest}"}`, Errors: []StatusShare{{422, .05}, {400, .01}, {401, .003}}, Request: LogNormal{180, .12}, Reply: LogNormal{240, .1}, Latency: LogNormal{480_000, .5}},
			{Role: RoleDownload, Method: "GET", Path: "/v1/statements/{statementId}/download", Errors: itemErrors, Reply: LogNormal{190_000, .6}, Latency: LogNormal{320_000, .5}},
			{Role: RoleCards, Method: "GET", Path: "/v1/cards", Errors: readErrors, Reply: LogNormal{1100, .3}, Latency: LogNormal{36_000, .4}},
			{Role: RoleAdminUsers, Method: "GET", Path: "/v1/admin/users", Query: "page={page}", Errors: refused, Reply: LogNormal{9000, .3}, Latency: LogNormal{20_000, .4}},
			{Role: RoleAdminAudit, Method: "GET", Path: "/v1/admin/audit", Query: "from={date}", Errors: refused, Reply: LogNormal{12_000, .3}, Latency: LogNormal{20_000, .4}},
			{Role: RoleAdminExport, Method: "POST", Path: "/v1/admin/exports", Body: `{"kind":"{users|audit}","format":"csv","token":"{rest}"}`, Errors: refused, Request: LogNormal{160, .2}, Reply: LogNormal{300, .2}, Latency: LogNormal{22_000, .4}},
			{Role: RoleAdminGrant, Method: "PUT", Path: "/v1/admin/users/{userId}/roles", Body: `{"role":"{auditor|operator|admin}","by":"{rest}"}`, Errors: refused, Request: LogNormal{60, .2}, Reply: LogNormal{120, .2}, Latency: LogNormal{18_000, .4}},
			{Role: RoleProfile, Method: "GET", Path: "/v1/profile", Errors: readErrors, Reply: LogNormal{1400, .15}, Latency: LogNormal{24_000, .4}},
			{Role: RoleProfileEdit, Method: "PATCH", Path: "/v1/profile", Body: `{"phone":"+49{number}","language":"{de|en|fr}","greeting":"{text}","nonce":"{rest}"}`, Errors: writeErrors, Request: LogNormal{150, .2}, Reply: LogNormal{1400, .15}, Latency: LogNormal{52_000, .4}},
			{Role: RoleUpdate, Method: "PUT", Path: "/v1/payees/{payeeId}", Body: `{"name":"{text}","account":"{number}","bank":"{NORD|SUED|WEST|OSTB}","nonce":"{rest}"}`, Errors: writeErrors, Request: LogNormal{220, .2}, Reply: LogNormal{310, .1}, Latency: LogNormal{58_000, .4}},
			{Role: RoleRemove, Method: "DELETE", Path: "/v1/payees/{payeeId}", OK: 204, Errors: writeErrors, Latency: LogNormal{45_000, .4}},
			{Role: RoleReport, Method: "GET", Path: "/v1/reports/cashflow", Query: "from={date}&to={today}&interval={day|week|month}", Errors: readErrors, Reply: LogNormal{18_000, .4}, Latency: LogNormal{260_000, .5}},
		},
		Decoys: []string{"/v1/internal/backup", "/v1/accounts/all"},
		Pages: []Page{
			{Name: "overview", Auth: true, Calls: []Call{{Role: RoleSummary}, {Role: RoleList}, {Role: RoleCards, Chance: .5}},
				Next: []Link{{"account", 6}, {"parties", 1}, {"transfer", 1.2}, {"statements", .5}, {"cards", .6}, {"overview", .4}, {"profile", .25}, {"report", .2}}},
			{Name: "account", Auth: true, Calls: []Call{{Role: RoleItem}, {Role: RoleHistory}},
				Next: []Link{{"more", 3}, {"account", 2}, {"overview", 2}, {"transfer", .9}, {"statements", .4}}},
			{Name: "more", Auth: true, Calls: []Call{{Role: RoleHistory}},
				Next: []Link{{"more", 4}, {"account", 2}, {"overview", 1.5}}},
			{Name: "parties", Auth: true, Calls: []Call{{Role: RoleParties}},
				Next: []Link{{"transfer", 4}, {"new-party", 1}, {"overview", 2}, {"edit-party", .4}}},
			{Name: "new-party", Auth: true, Calls: []Call{{Role: RoleVerify, Pause: true}, {Role: RoleAddParty, Chance: .8, Pause: true}, {Role: RoleParties}},
				Next: []Link{{"transfer", 4}, {"overview", 1}}},
			{Name: "transfer", Auth: true, Calls: []Call{{Role: RoleParties}, {Role: RoleSubmit, Chance: .8, Pause: true}, {Role: RoleList, Chance: .7}},
				Next: []Link{{"overview", 3}, {"account", 2}, {"transfer", .5}}},
			{Name: "statements", Auth: true, Calls: []Call{{Role: RoleList}, {Role: RoleDownload, Pause: true}, {Role: RoleDownload, Chance: .3, Pause: true}},
				Next: []Link{{"overview", 2}, {"account", 1}, {"statements", .6}}},
			{Name: "cards", Auth: true, Calls: []Call{{Role: RoleCards}},
				Next: []Link{{"overview", 2}, {"account", 1}}},
			{Name: "profile", Auth: true, Calls: []Call{{Role: RoleProfile}, {Role: RoleProfileEdit, Chance: .12, Pause: true}},
				Next: []Link{{"overview", 3}, {"cards", 1}}},
			{Name: "report", Auth: true, Calls: []Call{{Role: RoleReport}},
				Next: []Link{{"report", 1}, {"account", 1}, {"overview", 2}}},
			{Name: "edit-party", Auth: true, Calls: []Call{{Role: RoleParties}, {Role: RoleUpdate, Chance: .5, Pause: true}, {Role: RoleRemove, Chance: .4, Pause: true}},
				Next: []Link{{"overview", 2}, {"transfer", 1}}},
		},
	}
}
