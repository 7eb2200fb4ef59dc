// Package sts answers the one question of the Security Token Service that the
// local cloud is asked: who am I.
//
// In comes a query request; out goes the local account. It checks no
// credentials and gives none out.
package sts

import (
	"net/http"

	"gitlab.com/towline/towline/pkg/localcloud/protocol"
)

type identity struct {
	XMLName   struct{} `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	Arn       string   `xml:"GetCallerIdentityResult>Arn"`
	UserID    string   `xml:"GetCallerIdentityResult>UserId"`
	Account   string   `xml:"GetCallerIdentityResult>Account"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

// Handler answers for one account.
func Handler(account string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, protocol.MaxBody)
		switch action := r.FormValue("Action"); action {
		case "GetCallerIdentity":
			protocol.WriteXML(w, http.StatusOK, identity{
				Arn:       "arn:aws:iam::" + account + ":user/towline",
				UserID:    "AIDATOWLINELOCAL",
				Account:   account,
				RequestID: "00000000-0000-0000-0000-000000000000",
			})
		default:
			protocol.WriteQueryError(w, protocol.Errorf("InvalidAction", "The local cloud has no operation %s in sts.", action))
		}
	})
}
