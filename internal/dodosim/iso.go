package dodosim

import (
	"fmt"
	"strings"
)

// The currencies and countries of Dodo's API description. An unknown one in a request is
// refused, as in a real call (FACTS 2.1); in a response it would break clients that decode
// by the description.
var (
	currencies = wordSet(`
		AED ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CHF CLP CNY
		COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF
		IDR ILS INR IQD JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
		MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF
		SAR SBD SCR SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SZL THB TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES
		VND VUV WST XAF XCD XOF XPF YER ZAR ZMW`)

	countries = wordSet(`
		AF AX AL DZ AS AD AO AI AQ AG AR AM AW AU AT AZ BS BH BD BB BY BE BZ BJ BM BT BO BQ BA BW BV BR IO BN BG BF BI
		KH CM CA CV KY CF TD CL CN CX CC CO KM CG CD CK CR CI HR CU CW CY CZ DK DJ DM DO EC EG SV GQ ER EE ET FK FO FJ
		FI FR GF PF TF GA GM GE DE GH GI GR GL GD GP GU GT GG GN GW GY HT HM VA HN HK HU IS IN ID IR IQ IE IM IL IT JM
		JP JE JO KZ KE KI KP KR KW KG LA LV LB LS LR LY LI LT LU MO MK MG MW MY MV ML MT MH MQ MR MU YT MX FM MD MC MN
		ME MS MA MZ MM NA NR NP NL NC NZ NI NE NG NU NF MP NO OM PK PW PS PA PG PY PE PH PN PL PT PR QA RE RO RU RW BL
		SH KN LC MF PM VC WS SM ST SA SN RS SC SL SG SX SK SI SB SO ZA GS SS ES LK SD SR SJ SZ SE CH SY TW TJ TZ TH TL
		TG TK TO TT TN TR TM TC TV UG UA AE GB UM US UY UZ VU VE VN VG VI WF EH YE ZM ZW`)

	// Currencies whose minor unit is not a hundredth, by ISO 4217.
	wholeUnits  = wordSet(`BIF CLP DJF GNF JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF`)
	thousandths = wordSet(`BHD IQD JOD KWD LYD OMR TND`)
)

func wordSet(words string) map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}

func knownCurrency(code string) bool { return currencies[code] }

func knownCountry(code string) bool { return countries[code] }

// money formats an amount for people, such as "USD 9.99", "JPY 999" or "KWD 0.999".
func money(minor int64, currency string) string {
	switch {
	case wholeUnits[currency]:
		return fmt.Sprintf("%s %d", currency, minor)
	case thousandths[currency]:
		return fmt.Sprintf("%s %d.%03d", currency, minor/1000, minor%1000)
	default:
		return fmt.Sprintf("%s %d.%02d", currency, minor/100, minor%100)
	}
}
